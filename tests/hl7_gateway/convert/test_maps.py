"""The maps as data: every name, place and structure in them is one that exists."""

import importlib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hl7apy import load_reference
from hl7apy.exceptions import ChildNotFound

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.engine import NOT_IN_STRUCTURE, Engine
from hl7_gateway.convert.loading import MAPS, load_message_maps, load_segment_maps
from hl7_gateway.convert.maps import Node, Rule
from hl7_gateway.convert.required import REQUIRED
from hl7_gateway.convert.rules import CompiledMap
from hl7_gateway.er7.reader import read_text
from terminology.translation import ConceptMaps
from tests.hl7_gateway.convert.conftest import RECEIVED, SENDER, header

SEGMENT_MAPS = load_segment_maps()
VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
STRUCTURES = [
    "ADT^A01",
    "ADT^A02",
    "ADT^A03",
    "ADT^A05",
    "ADT^A06",
    "ADT^A12",
    "ORU^R01",
    "ORM^O01",
    "OML^O21",
]  # those named like their first trigger


def model(kind: str) -> Any:
    return getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)


def element(definition: Any, name: str) -> tuple[Any, bool]:
    """Return the definition of an element's type (None of a primitive) and whether it repeats."""
    for field, info in definition.model_fields.items():
        if name in (info.alias, field):
            annotation = info.annotation
            is_list = "List[" in str(annotation)
            while args := [a for a in typing.get_args(annotation) if a is not type(None)]:
                annotation = args[0]
            type_name = getattr(annotation, "__name__", "")
            if type_name == "FHIRPrimitiveExtensionType":
                return get_fhir_model_class("Element"), is_list
            is_complex = type_name.endswith("Type") and type_name[0].isupper() and type_name != "Type"
            return (get_fhir_model_class(type_name.removesuffix("Type")) if is_complex else None), is_list
    raise AssertionError(f"{definition.__name__} has no element {name}")


def check_path(definition: Any, path: str) -> Any:
    """Walk `path` from `definition`; return the definition of what it ends at."""
    names = path.removesuffix("[]").split(".")
    for number, name in enumerate(names, 1):
        definition, is_list = element(definition, name)
        is_last = number == len(names)
        assert is_list == (is_last and path.endswith("[]")), f"{path}: {name} repeats: {is_list}"
    return definition


def check_rule(definition: Any, rule: Rule) -> None:
    if rule.use or rule.keep or rule.to == "$this":
        return
    target = check_path(definition, rule.to)
    for inner in rule.element:
        assert target is not None, f"{rule.to} is a primitive"
        check_rule(target, inner)
    if rule.constant is not None and target is not None:
        for value in rule.constant if isinstance(rule.constant, list) else [rule.constant]:
            target.model_validate(value)


@pytest.mark.parametrize("name", sorted(SEGMENT_MAPS))
def test_every_target_path_is_an_element_of_r4(name: str) -> None:
    source = SEGMENT_MAPS[name]
    definition = model(source.resource)
    if source.element:
        definition = check_path(definition, source.element)
    for rule in source.rules:
        check_rule(definition, rule)


@pytest.mark.parametrize("kind", sorted(REQUIRED))
def test_the_required_elements_are_those_of_the_definitions(kind: str) -> None:
    definition = model(kind)
    single = {info.alias or name for name, info in definition.model_fields.items() if info.is_required()}
    # fhir.resources says of required primitives and choices what its own properties hold.
    extra = dict(_requirements(definition))
    expected = {(name,) for name in single - {"resourceType", "resource_type"}} | set(extra.values())
    assert {tuple(sorted(names)) for names in REQUIRED[kind]} == {tuple(sorted(n)) for n in expected}


def _requirements(definition: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, info in definition.model_fields.items():
        extra = info.json_schema_extra or {}
        alias = info.alias or name
        if extra.get("element_required"):
            yield alias, (alias,)
        if extra.get("one_of_many") and extra.get("one_of_many_required"):
            group = extra["one_of_many"]
            yield (
                group,
                tuple(
                    other.alias or field
                    for field, other in definition.model_fields.items()
                    if (other.json_schema_extra or {}).get("one_of_many") == group
                ),
            )


def _structure(trigger: str, version: str) -> Any:
    """Return hl7apy's structure, None where the version has none of that name (ORM_O01 ends with 2.6)."""
    try:
        return load_reference(trigger.replace("^", "_"), "Message", version)
    except ChildNotFound:
        return None


@pytest.mark.parametrize(
    ("trigger", "version"), [(t, v) for t in STRUCTURES for v in VERSIONS if _structure(t, v) is not None]
)
def test_every_segment_of_every_version_of_a_structure_has_its_place(
    engine: Engine, trigger: str, version: str
) -> None:
    """A message of all segments of hl7apy's structure, in its order, leaves none without a place."""
    names = _segments(_structure(trigger, version))
    lines = ["PID|||1^^^H^MR" if name == "PID" else f"{name}|1" for name in names]
    message = read_text("\r".join([header(trigger, version=version), *lines]) + "\r")
    report = engine.convert(message, SENDER, received=RECEIVED).report
    assert [line.location for line in report.unmapped if line.reason == NOT_IN_STRUCTURE] == []


def _segments(group: Any) -> Iterator[str]:
    for child in group[1]:
        if child[3] != "SEG":
            yield from _segments(child[1])
        elif child[0] not in ("MSH", "Hxx"):
            yield child[0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("segment: PID\nresource: Patient\nrules: []\n", "`rules` is not a list of rules"),
        ("segment: PID\nresource: Patient\nrulez: [1]\n", "unknown key `rulez`"),
        ("segment: PID\nrules: [{to: active, constant: true}]\n", "`resource` is missing"),
        (
            "segment: PID\nresource: Patient\nrules: [{from: PV1-3, to: gender, as: ID_code}]\n",
            "is not of segment PID",
        ),
        (
            "segment: PID\nresource: Patient\nrules: [{from: PID-x, to: gender, as: ID_code}]\n",
            "is not a field",
        ),
        ("segment: PID\nresource: Patient\nrules: [{from: PID-8, to: gender}]\n", "needs exactly one of"),
        (
            "segment: PID\nresource: Patient\nrules: [{from: PID-8, to: gender, as: a, constant: b}]\n",
            "exactly one",
        ),
        (
            "segment: PID\nresource: Patient\nrules: [{from: PID-8, to: gender, if: x, as: ID_code}]\n",
            "unknown key `if`",
        ),
        (
            "segment: PID\nresource: Patient\nrules: [{from: PID-8, to: a, url: u, constant: 1}]\n",
            "an extension",
        ),
        ("segment: [\n", "cannot be read"),
    ],
)
def test_a_malformed_segment_map_is_named_with_what_is_wrong(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "PID_Patient.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_segment_maps(tmp_path)
    assert "PID_Patient.yaml" in caught.value.message
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("{from: PID-8, to: gender, as: XX_code}", "There is no data type function `XX_code`"),
        ("{from: PID-8, to: gender, as: ID_code, when: is_blue}", "There is no condition `is_blue`"),
        ("{from: PID-8, to: gender, as: ID_code, where: is_blue}", "no condition on a repetition `is_blue`"),
        ("{from: PID-8, use: paint}", "There is no segment function `paint`"),
        ("{from: PID-8, to: 'a[0].b', as: ID_code}", "is not an element path"),
        (
            "{from: PID-8, to: gender, as: XCN_Practitioner, refer: Observation}",
            "cannot refer to Observation",
        ),
        ("{from: PID-5, to: 'name[]', as: XPN_HumanName, map: Sex}", "takes no concept_map"),
    ],
)
def test_an_unknown_name_stops_the_start_with_map_and_rule(tmp_path: Path, rule: str, complaint: str) -> None:
    (tmp_path / "segments").mkdir()
    text = f"segment: PID\nresource: Patient\nrules:\n  - {rule}\n"
    (tmp_path / "segments" / "PID_Test.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        CompiledMap(load_segment_maps(tmp_path)["PID_Test"])
    assert caught.value.message.startswith("Segment map PID_Test, rule 1: ")
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("structure: ADT_A01\nbased_on: ADT_X\n", "there is no map `ADT_X`"),
        ("structure: ADT_A02\n", "`structure` is not the file's name"),
        ("structure: ADT_A01\nsegments: {PID: {steps: [{map: X}]}}\n", "either `new` or `into`"),
        (
            "structure: ADT_A01\nresources: {patient: {type: Patient, key: k, write: put}}\n",
            "`write` is none of merge, update, create",
        ),
    ],
)
def test_a_malformed_message_map_is_named_with_what_is_wrong(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "messages").mkdir()
    (tmp_path / "resources.yaml").write_text("{}", encoding="utf-8")
    (tmp_path / "messages" / "ADT_A01.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_message_maps(tmp_path)
    assert "ADT_A01" in caught.value.message
    assert complaint in caught.value.message


def _rules(rules: tuple[Rule, ...]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        yield from _rules(rule.element)


def test_every_code_map_that_a_rule_names_exists() -> None:
    maps = ConceptMaps()
    named = {rule.concept_map for source in SEGMENT_MAPS.values() for rule in _rules(source.rules)} - {""}
    for name in sorted(named):
        # Some maps of the guide are of user-defined tables and hold no code; an unknown name raises.
        assert maps.find(name).name == name
    with pytest.raises(ConfigurationError):
        maps.find("NoSuchTable")


def test_every_segment_map_is_used_by_a_message() -> None:
    used = {
        step.map for source in load_message_maps() for node in _nodes(source.children) for step in node.steps
    }
    assert used == set(SEGMENT_MAPS)


def _nodes(children: dict[str, Node]) -> Iterator[Node]:
    for node in children.values():
        yield node
        yield from _nodes(node.children)


def test_every_map_names_its_source() -> None:
    for path in sorted(MAPS.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert "source:" in text or "based_on:" in text or path.stem == "resources", path.name
