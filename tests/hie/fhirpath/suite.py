"""Reads the official FHIRPath suite and runs one case of it: ours against what HL7 expects."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject, loads
from hie.core.fhir.xml_read import from_xml
from hie.core.fhirpath.check import check
from hie.core.fhirpath.evaluation import Environment
from hie.core.fhirpath.expression import compiled
from hie.core.fhirpath.functions.conversion import to_text
from hie.core.fhirpath.functions.reflection import type_info
from hie.core.fhirpath.node import Node
from hie.core.fhirpath.resources import node_of

NOW: Final = datetime(2026, 11, 22, 12, 30, 15, 250_000, tzinfo=UTC)
# Where the collections of examples keep what the suite names otherwise.
_ALIASES: Final = {
    "appointment-examplereq": "Appointment-examplereq",
    "explanationofbenefit-example": "ExplanationOfBenefit-EB3500",
}
_FOLDERS: Final = (
    "fhir/fhir-test-cases/r4/examples",
    "fhir/fhir-test-cases-inputs/data/r4/input",
    "fhir/r4-examples",
)
# Inputs that are in no folder. These are ours: as small as their cases allow.
_OURS: Final[dict[str, JsonObject]] = {
    "parameters-example-types": {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "string", "valueString": "text"},
            {"name": "integer", "valueInteger": 1},
            {"name": "uuid", "valueUuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
            {"name": "decimal", "valueDecimal": 1.5},
        ],
    },
    "patient-container-example": {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": "1", "name": "Good Health Clinic"}],
    },
    "patient-example-period": {
        "resourceType": "Patient",
        "identifier": [{"value": "1", "period": {"start": "2021-05", "end": "2021-05-06"}}],
    },
    "patient-name-extensions": {
        "resourceType": "Patient",
        "name": [
            {
                "given": [None, "Second"],
                "_given": [{"extension": [{"url": "http://example.org/absent", "valueBoolean": True}]}, None],
            }
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Case:
    """One `<test>`: its name is its group's and its own, numbered where the suite uses it twice."""

    name: str
    expression: str
    input: str
    invalid: str | None
    is_predicate: bool
    is_strict: bool
    outputs: tuple[tuple[str | None, str], ...]


def cases_of(file: Path) -> Iterator[Case]:
    """Yield the cases of a suite in order."""
    seen: dict[str, int] = {}
    for group in ET.parse(file).getroot().iter("group"):  # noqa: S314 # the suite is a file of HL7's
        for test in group.findall("test"):
            expression = test.find("expression")
            assert expression is not None
            name = f"{group.get('name')}/{test.get('name')}"
            seen[name] = seen.get(name, 0) + 1
            yield Case(
                name if seen[name] == 1 else f"{name}#{seen[name]}",
                expression.text or "",
                Path(test.get("inputfile", "patient-example.xml")).stem,
                expression.get("invalid") or test.get("invalid"),
                test.get("predicate") == "true",
                "strict" in {test.get("mode"), expression.get("mode")},
                tuple((output.get("type"), output.text or "") for output in test.findall("output")),
            )


def failure_of(case: Case, data: Path) -> str | None:
    """Return why a case fails, None where it passes.

    A case that the suite calls invalid passes where either the check of types or the evaluation refuses it.
    """
    resource = input_of(case.input, data)
    if case.invalid:
        return _not_refused(case, resource)
    try:
        found = compiled(case.expression).items(node_of(resource), Environment(now=NOW))
    except ExchangeError as error:
        return f"{type(error).__name__}: {error.message}"
    if case.is_predicate:
        found = [bool(found)]
    shown = [_shown(item) for item in found]
    wanted = [_wanted(kind, text) for kind, text in case.outputs]
    if len(shown) != len(wanted):
        return f"finds {shown}"
    for (kind, text), (wanted_kind, wanted_text) in zip(shown, wanted, strict=True):
        if text != wanted_text or wanted_kind not in {None, kind}:
            return f"finds {shown}"
    return None


def _not_refused(case: Case, resource: JsonObject) -> str | None:
    try:
        expression = compiled(case.expression)
        check(expression, resource["resourceType"])
        found = expression.evaluate(resource, Environment(now=NOW))
    except ExchangeError:
        return None
    return f"is not refused, finds {found}"


@cache
def input_of(name: str, data: Path) -> JsonObject:
    """Return the resource that a case begins at."""
    if name in _OURS:
        return _OURS[name]
    for folder in _FOLDERS:
        for stem in (name, _ALIASES.get(name, name)):
            file = data / folder / f"{stem}.xml"
            if file.is_file():
                return from_xml(file.read_bytes())
            if file.with_suffix(".json").is_file():
                return loads(file.with_suffix(".json").read_bytes())  # type: ignore[no-any-return] # a resource
    raise FileNotFoundError(name)


def _shown(item: Any) -> tuple[str, str]:
    if isinstance(item, Node):
        value = item.value
        return item.type_name, to_text(value) or "" if not isinstance(value, float) else repr(value)
    name = type_info(item).name
    return name if name == "Quantity" else name[0].lower() + name[1:], to_text(item) or ""


def _wanted(kind: str | None, text: str) -> tuple[str | None, str]:
    return kind, text.removeprefix("@").removeprefix("T") if text.startswith("@") else text
