"""The International Patient Summary 2.0 (hl7.fhir.uv.ips): its examples, as they are and once changed.

Its value sets are not among the conformance data: bindings to them are told as unknown.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.profile.validator import ProfileValidator
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from tests.fhir_server.validation.profile.profiles import NOW

IPS = "http://hl7.org/fhir/uv/ips/StructureDefinition"


@cache
def definitions(folder: Path) -> tuple[JsonObject, ...]:
    return tuple(loads(path.read_bytes()) for path in sorted(folder.glob("StructureDefinition-*.json")))


@pytest.fixture(scope="module")
def ips(conformance_data: Path) -> Path:
    return conformance_data / "fhir" / "ips"


@pytest.fixture(scope="module")
def validator(ips: Path) -> ProfileValidator:
    return ProfileValidator(LoadedResources(definitions(ips)))


def example(ips: Path, name: str) -> JsonObject:
    found: JsonObject = loads((ips / "example" / f"{name}.json").read_bytes())
    return found


def errors(validator: ProfileValidator, checked: JsonObject) -> list[tuple[str, str, str]]:
    """Return code, expression and message without the profile."""
    issues = validator.validate(loads(dumps(checked)), now=NOW)
    return [
        (issue.code, issue.expression or "", re.sub(r" \(http[^ ]*\)$", "", issue.message))
        for issue in issues
        if issue.severity == "error"
    ]


def test_every_example_is_valid(ips: Path, validator: ProfileValidator) -> None:
    paths = sorted((ips / "example").glob("*.json"))
    assert len(paths) >= 40
    for path in paths:
        assert errors(validator, loads(path.read_bytes())) == [], path.name


def test_differentials_say_what_the_snapshots_say(ips: Path, validator: ProfileValidator) -> None:
    bare = [
        {key: value for key, value in definition.items() if key != "snapshot"}
        for definition in definitions(ips)
    ]
    from_differentials = ProfileValidator(LoadedResources(bare))
    compared = 0
    for path in sorted((ips / "example").glob("*.json")):
        original = loads(path.read_bytes())
        for checked in (original, *without_each_element(original)):
            one, other = (
                [(i.severity, i.code, i.expression, i.message) for i in each.validate(checked, now=NOW)]
                for each in (validator, from_differentials)
            )
            assert sorted(map(str, one)) == sorted(map(str, other)), path.name
            compared += bool(one)
    assert compared > 100


def without_each_element(original: JsonObject) -> list[JsonObject]:
    """Return the resource without each of its elements in turn; of a Bundle only the whole."""
    if original["resourceType"] == "Bundle":
        return []
    kept = ("resourceType", "meta")
    return [
        {name: value for name, value in original.items() if name != left_out}
        for left_out in original
        if left_out not in kept
    ]


def drop(*path: str | int) -> Callable[[JsonObject], None]:
    def change(resource: JsonObject) -> None:
        at: Json = resource
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]

    return change


def put(value: Json, *path: str | int) -> Callable[[JsonObject], None]:
    def change(resource: JsonObject) -> None:
        at: Json = resource
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


CHANGES: list[tuple[str, Callable[[JsonObject], None], tuple[str, str, str]]] = [
    (
        "Patient-eumfh-39-07",
        drop("name"),
        ("required", "Patient.name", "`Patient.name` must occur at least once, found none"),
    ),
    (
        "Patient-eumfh-39-07",
        drop("birthDate"),
        ("required", "Patient.birthDate", "`Patient.birthDate` must occur at least once, found none"),
    ),
    (
        "Patient-eumfh-39-07",
        put([{"use": "official"}], "name"),
        (
            "invariant",
            "Patient.name[0]",
            "ips-pat-1: Patient.name.given, Patient.name.family or Patient.name.text SHALL be present",
        ),
    ),
    (
        "Condition-eumfh-39-07-1",
        drop("code"),
        ("required", "Condition.code", "`Condition.code` must occur at least once, found none"),
    ),
    (
        "Condition-eumfh-39-07-1",
        put({"reference": "Group/1"}, "subject"),
        ("structure", "Condition.subject", f"The reference is to Group; allowed: {IPS}/Patient-uv-ips"),
    ),
    (
        "Immunization-75680",
        drop("patient", "reference"),
        (
            "required",
            "Immunization.patient.reference",
            "`Immunization.patient.reference` must occur at least once, found none",
        ),
    ),
    (
        "MedicationStatement-eumfh-39-07-1",
        drop("effectivePeriod"),
        (
            "required",
            "MedicationStatement.effective",
            "`MedicationStatement.effective` must occur at least once, found none",
        ),
    ),
]

SECTION = ("entry", 0, "resource", "section")
PROBLEMS = "Composition.section:sectionProblems"


def repeat_problems(resource: JsonObject) -> None:
    sections = resource["entry"][0]["resource"]["section"]
    sections.append(sections[0])


def add_condition_to_allergies(resource: JsonObject) -> None:
    problems, _, allergies = resource["entry"][0]["resource"]["section"]
    allergies["entry"].append(problems["entry"][0])


# What is changed in a valid Bundle, and the expression and message of why its Composition is none.
COMPOSITIONS: list[tuple[Callable[[JsonObject], None], str, str]] = [
    (
        put({"coding": [{"system": "http://loinc.org", "code": "11369-6"}]}, *SECTION, 0, "code"),
        "section",
        f"`{PROBLEMS}` must occur at least once, found none",
    ),
    (repeat_problems, "section", f"`{PROBLEMS}` may occur at most once, found 2"),
    (
        add_condition_to_allergies,
        "section[2].entry[1]",
        "The reference is to Condition; allowed: AllergyIntolerance, DocumentReference",
    ),
    (
        drop(*SECTION, 1, "text"),
        "section[1].text",
        "`Composition.section.text` must occur at least once, found none",
    ),
    (
        drop("entry", 1, "resource", "birthDate"),
        "subject",
        f"The Patient that it refers to does not conform to `{IPS}/Patient-uv-ips`",
    ),
]


@pytest.mark.parametrize(("name", "change", "expected"), CHANGES)
def test_a_changed_example_has_exactly_that_error(
    ips: Path,
    validator: ProfileValidator,
    name: str,
    change: Callable[[JsonObject], None],
    expected: tuple[str, str, str],
) -> None:
    changed = example(ips, name)
    change(changed)
    assert errors(validator, changed) == [expected]


@pytest.mark.parametrize(("change", "where", "why"), COMPOSITIONS)
def test_a_bundle_says_why_its_composition_is_none(
    ips: Path, validator: ProfileValidator, change: Callable[[JsonObject], None], where: str, why: str
) -> None:
    changed = example(ips, "Bundle-bundle-minimal")
    change(changed)
    missing = "`Bundle.entry:composition` must occur at least once, found none"
    assert ("required", "Bundle.entry", missing) in errors(validator, changed)
    reasons = [
        (issue.expression, re.sub(r" \(http[^ ]*\)$", "", issue.message))
        for issue in validator.validate(loads(dumps(changed)), now=NOW)
        if issue.severity == "information"
    ]
    assert (f"Bundle.entry[0].resource.{where}", f"Not of `Bundle.entry:composition`: {why}") in reasons


def test_a_document_is_of_type_document(ips: Path, validator: ProfileValidator) -> None:
    changed = example(ips, "Bundle-bundle-minimal")
    changed["type"] = "collection"
    assert errors(validator, changed) == [("value", "Bundle.type", 'The value must be exactly `"document"`')]
