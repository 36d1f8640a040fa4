"""The structure table agrees with the specification's definitions and examples, and with fhir.resources."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hie.core.fhir import structure
from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.fhir.structure import element_at, elements_of, is_subtype, structure_of


def test_choice_key_names_its_type() -> None:
    found = element_at("Observation", "valueQuantity")
    assert found is not None
    element, type_name, content = found
    assert (element.name, element.is_choice, type_name, content) == ("value", True, "Quantity", "Quantity")
    assert element_at("Observation", "value") is None
    assert element_at("Observation", "valueAddress") is None


def test_content_reference_leads_to_the_shared_content() -> None:
    found = element_at("Questionnaire.item", "item")
    assert found is not None
    assert (found[0].content_of, found[1], found[2]) == (
        "Questionnaire.item",
        "BackboneElement",
        "Questionnaire.item",
    )
    assert element_at("Patient", "contact") == (found_contact(), "BackboneElement", "Patient.contact")


def found_contact() -> object:
    structure = structure_of("Patient")
    assert structure is not None
    return next(element for element in structure.elements if element.name == "contact")


def test_inherited_elements_come_first_in_the_order_of_the_snapshot() -> None:
    structure = structure_of("Patient")
    assert structure is not None
    assert (structure.kind, structure.base) == ("resource", "DomainResource")
    names = [element.name for element in structure.elements]
    assert names[:9] == [
        "id",
        "meta",
        "implicitRules",
        "language",
        "text",
        "contained",
        "extension",
        "modifierExtension",
        "identifier",
    ]
    contact = structure_of("Patient.contact")
    assert contact is not None
    assert (contact.kind, contact.base) == ("backbone", "BackboneElement")
    assert [element.name for element in contact.elements][:4] == [
        "id",
        "extension",
        "modifierExtension",
        "relationship",
    ]


def test_primitive_has_id_and_extension_and_xhtml_no_extension() -> None:
    assert list(elements_of("code")) == ["id", "extension"]
    assert list(elements_of("xhtml")) == ["id"]


def test_flags_cardinality_and_targets_are_kept() -> None:
    status = element_at("Observation", "status")
    assert status is not None
    assert (status[0].min, status[0].is_list, status[0].is_summary, status[0].is_modifier) == (
        1,
        False,
        True,
        True,
    )
    general = element_at("Patient", "generalPractitioner")
    assert general is not None
    assert general[0].is_list
    assert general[0].targets == ("Organization", "Practitioner", "PractitionerRole")
    any_target = element_at("Observation", "focus")
    assert any_target is not None
    assert any_target[0].targets == ("Resource",)


@pytest.mark.parametrize(
    ("name", "of", "expected"),
    [
        ("Age", "Quantity", True),
        ("Patient", "DomainResource", True),
        ("Patient", "Resource", True),
        ("Bundle", "DomainResource", False),
        ("code", "string", True),
        ("string", "code", False),
        ("Patient.contact", "BackboneElement", True),
        ("Quantity", "Quantity", True),
        ("NoSuchType", "Resource", False),
    ],
)
def test_subtype_follows_base_definitions(name: str, of: str, *, expected: bool) -> None:
    assert is_subtype(name, of) is expected


def test_unknown_path_has_no_structure() -> None:
    assert structure_of("Patient.nothing") is None
    assert elements_of("Patient.nothing") == {}
    assert element_at("Patient", "nothing") is None


def test_elements_of_data_types_are_those_of_the_specification(conformance_data: Path) -> None:
    bundle = loads((conformance_data / "fhir" / "r4-definitions" / "Bundle-types.json").read_bytes())
    compared = 0
    for entry in bundle["entry"]:
        definition = entry["resource"]
        is_type = definition["resourceType"] == "StructureDefinition" and definition["kind"] == "complex-type"
        if not is_type or definition.get("derivation") == "constraint":
            continue
        published: dict[str, set[tuple[str, int, bool, bool, bool]]] = {}
        for element in definition["snapshot"]["element"][1:]:
            parent, _, name = element["path"].rpartition(".")
            published.setdefault(parent, set()).add(
                (
                    name,
                    element["min"],
                    element["max"] != "1",
                    element.get("isSummary", False),
                    element.get("isModifier", False),
                )
            )
        for path, elements in published.items():
            structure = structure_of(path)
            assert structure is not None
            found = {
                (
                    each.name + "[x]" * each.is_choice,
                    each.min,
                    each.is_list,
                    each.is_summary,
                    each.is_modifier,
                )
                for each in structure.elements
            }
            assert found == elements, path
            compared += 1
    assert compared > 50


def test_table_names_its_source_version_and_licence() -> None:
    table = loads(Path(structure.__file__).with_name("r4_structure.json").read_bytes())
    assert table["source"].endswith("npm hl7.fhir.r4.examples 4.0.1")
    assert (table["version"], table["licence"]) == ("4.0.1", "CC0-1.0")


def test_every_element_of_the_examples_is_known(conformance_data: Path) -> None:
    unknown = set()
    for file in sorted((conformance_data / "fhir" / "r4-examples").glob("*.json")):
        resource = loads(file.read_bytes())
        if "resourceType" not in resource:  # the package's own package.json and index
            continue
        unknown |= set(_unknown(resource, resource["resourceType"]))
    assert unknown == set()


def _unknown(node: JsonObject, path: str) -> Iterator[str]:
    for key, value in node.items():
        if key == "resourceType":
            continue
        found = element_at(path, key.removeprefix("_"))
        if found is None:
            yield f"{path}.{key}"
            continue
        element, type_name, content = found
        if element.is_list != isinstance(value, list):
            yield f"{path}.{key} is list"
        structure = structure_of(content)
        values: list[Json] = value if isinstance(value, list) else [value]
        for each in values:
            if isinstance(each, dict):
                yield from _unknown(each, each["resourceType"] if type_name == "Resource" else content)
            elif structure is None or structure.kind != "primitive":
                yield f"{path}.{key} is primitive"


def test_table_says_what_the_published_definitions_say(conformance_data: Path) -> None:
    """The referee is another edition of the definitions: the Bundles of hl7.fhir.r4.examples."""
    compared = 0
    for name in ("Bundle-types.json", "Bundle-resources.json"):
        file = conformance_data / "fhir" / "r4-definitions" / name
        if not file.exists():
            continue
        for entry in loads(file.read_bytes())["entry"]:
            definition = entry["resource"]
            if (
                definition["resourceType"] != "StructureDefinition"
                or definition.get("derivation") == "constraint"
            ):
                continue
            compared += 1
            _compare(definition)
    if not compared:
        pytest.skip("CONFORMANCE_DATA has no Bundle of StructureDefinitions")


def _compare(definition: JsonObject) -> None:
    for row in definition["snapshot"]["element"]:
        parent, _, name = row["path"].rpartition(".")
        if not parent or row["max"] == "0" or (definition["kind"] == "primitive-type" and name == "value"):
            continue
        structure = structure_of(parent)
        assert structure is not None, parent
        plain = name.removesuffix("[x]")
        element = next((each for each in structure.elements if each.name == plain), None)
        assert element is not None, row["path"]
        assert element.is_choice == name.endswith("[x]"), row["path"]
        assert (element.min, element.is_list) == (row["min"], row["max"] != "1"), row["path"]
        assert element.is_summary == row.get("isSummary", False), row["path"]
        codes = {each["code"] for each in row.get("type", []) if "System." not in each["code"]}
        assert codes <= set(element.types), row["path"]
