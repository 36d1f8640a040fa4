"""The invariants of FHIR R4: all compile, hold for HL7's examples but for named ones, fail where broken."""

from collections import defaultdict
from pathlib import Path

import pytest

from fhir_server.definitions.invariants import ERRATA, invariants
from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.invariants import invariants_at
from fhir_server.validation.profile.validator import ProfileValidator
from hie.core.fhir.json import JsonObject, loads
from hie.core.fhirpath.expression import compiled
from tests.fhir_server.validation.profile.profiles import NARRATIVE, NOW, observation, resource

VALIDATOR = ProfileValidator(LoadedResources())

# Examples that break R4's own rules, with the keys that they break, a part that an extension of R4 does not
# have, and references to types that the element does not allow. The reference implementation (HAPI FHIR
# 7.6.0 with its R4 definitions) finds the same invariants broken, but txt-1 where the narrative is empty,
# and the same part; it does not look at the type of a reference that it cannot follow.
WRONG_EXAMPLES = {
    "ActivityDefinition-blood-tubes-supply": {"txt-1", "txt-2"},
    "ActivityDefinition-heart-valve-replacement": {"txt-1", "txt-2"},
    "EventDefinition-example": {"txt-1", "txt-2"},
    "Questionnaire-zika-virus-exposure-assessment": {"txt-1", "txt-2"},
    "StructureDefinition-Definition": {"sdf-4"},
    "StructureDefinition-Event": {"sdf-4"},
    "StructureDefinition-FiveWs": {"sdf-4"},
    "StructureDefinition-Request": {"sdf-4"},
    "Bundle-hla-1": {"`uri` is no part of the extension; these are"},
    "DeviceMetric-example": {"The reference is to DeviceDefinition; allowed"},
    "DeviceUseStatement-example": {"The reference is to Procedure; allowed"},
    "MedicationRequest-medrx0301": {"The reference is to Practitioner; allowed"},
    "Observation-clinical-gender": {"The reference is to Encounter; allowed"},
}


def broken(checked: JsonObject, severity: str = "error") -> list[tuple[str, str]]:
    """Return key and expression of the invariants that do not hold."""
    return [
        (issue.message.partition(":")[0], issue.expression or "")
        for issue in VALIDATOR.validate(checked, now=NOW)
        if issue.severity == severity and issue.code == "invariant"
    ]


def test_every_expression_compiles() -> None:
    found = {invariant.key for each in invariants().values() for invariant in each}
    for each in invariants().values():
        for invariant in each:
            compiled(invariant.expression)
    assert len(found) == 238


def test_every_example_holds_but_those_that_are_wrong(conformance_data: Path) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    checked = 0
    for path in sorted((conformance_data / "fhir" / "r4-examples").glob("*.json")):
        if path.name != "PACKAGE.json":
            checked += 1
            for issue in VALIDATOR.validate(loads(path.read_bytes()), now=NOW):
                if issue.severity == "error":
                    found[path.stem].add(issue.message.partition(":")[0])
                assert issue.code != "not-supported", issue
    assert dict(found) == WRONG_EXAMPLES
    assert checked == 1081


def quantity(value: float) -> JsonObject:
    return {"value": value, "unit": "a", "system": "a:b", "code": "c"}


def questionnaire(**item: object) -> JsonObject:
    return resource("Questionnaire", status="draft", item=[{"linkId": "1", "text": "a", **item}])


BROKEN: list[tuple[JsonObject, list[tuple[str, str]]]] = [
    (resource("Patient", contact=[{"gender": "male"}]), [("pat-1", "Patient.contact[0]")]),
    (
        resource("Patient", name=[{"period": {"start": "2024-02-01", "end": "2024-01-01"}}]),
        [("per-1", "Patient.name[0].period")],
    ),
    (resource("Patient", telecom=[{"value": "1"}]), [("cpt-2", "Patient.telecom[0]")]),
    (resource("Patient", name=[{"id": "a"}]), [("ele-1", "Patient.name[0]")]),
    (resource("Organization", active=True), [("org-1", "Organization")]),
    (
        resource("Organization", name="a", address=[{"use": "home", "city": "a"}]),
        [("org-2", "Organization.address[0]")],
    ),
    (
        observation(referenceRange=[{"age": {"low": {"value": 1}}}]),
        [("obs-3", "Observation.referenceRange[0]")],
    ),
    (
        observation(referenceRange=[{"low": {**quantity(1), "comparator": "<"}}]),
        [("sqty-1", "Observation.referenceRange[0].low")],
    ),
    (
        observation(valueRange={"low": quantity(2), "high": quantity(1)}),
        [("rng-2", "Observation.value.ofType(Range)")],
    ),
    (observation(valueQuantity={"value": 1, "code": "a"}), [("qty-3", "Observation.value.ofType(Quantity)")]),
    (observation(valueString="a", dataAbsentReason={"text": "a"}), [("obs-6", "Observation")]),
    (
        observation(subject={"reference": "#nothing"}),
        [("ref-1", "Observation.subject")],
    ),
    (
        observation(contained=[{"resourceType": "Patient", "id": "p"}]),
        [("dom-3", "Observation")],
    ),
    (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}],
            subject={"reference": "#p"},
        ),
        [("dom-4", "Observation")],
    ),
    (
        {"resourceType": "Bundle", "type": "collection", "total": 1},
        [("bdl-1", "Bundle")],
    ),
    (
        resource(
            "Patient", text={"status": "generated", "div": NARRATIVE["div"].replace(">a<", "><script/><")}
        ),
        [("txt-1", "Patient.text.div"), ("txt-2", "Patient.text.div")],
    ),
    (questionnaire(type="group"), [("que-1", "Questionnaire.item[0]")]),
    (
        # an item in an item has the invariants of Questionnaire.item
        questionnaire(type="group", item=[{"linkId": "2", "type": "display", "text": "a", "required": True}]),
        [("que-6", "Questionnaire.item[0].item[0]")],
    ),
]


@pytest.mark.parametrize(("checked", "expected"), BROKEN)
def test_what_breaks_an_invariant_is_named(checked: JsonObject, expected: list[tuple[str, str]]) -> None:
    assert broken(checked) == expected


# For each erratum: a resource for which the published and the corrected expression differ.
@pytest.mark.parametrize(
    ("checked", "type_name", "published"),
    [
        ({"identifier": {"value": "1"}}, "Reference", "reference.startsWith"),
        ({"resource": {"resourceType": "Patient"}}, "Bundle.entry", "fullUrl"),
        ({"resourceType": "ValueSet", "status": "draft"}, "ValueSet", "name"),
        ({"outcome": {"text": "a"}}, "RiskAssessment.prediction", "probability"),
        (
            {"linkId": "1", "enableWhen": [{"question": "1"}, {"question": "2"}]},
            "Questionnaire.item",
            "enableWhen",
        ),
        (
            {"question": "1", "operator": "exists", "answerBoolean": True},
            "Questionnaire.item.enableWhen",
            "operator",
        ),
    ],
)
def test_an_erratum_changes_what_is_found(checked: JsonObject, type_name: str, published: str) -> None:
    (erratum,) = [each for each in ERRATA if each.published.startswith(published)]
    wrong = compiled(erratum.published).evaluate_at(checked, type_name)
    right = compiled(erratum.evaluated).evaluate_at(checked, type_name)
    assert wrong != right
    assert erratum.reason


def test_an_invariant_of_an_element_stands_beside_those_of_its_type_and_base_types() -> None:
    keys = {invariant.key for invariant in invariants_at("Organization.address", "Address")}
    assert keys == {"org-2"}
    assert {i.key for i in invariants_at("Observation.value", "Age")} == {"age-1", "qty-3"}
    assert "dom-2" in {i.key for i in invariants_at("Patient", "Patient")}


def test_a_missing_narrative_is_a_warning_but_not_of_a_contained_resource() -> None:
    bare: JsonObject = {"resourceType": "Patient"}
    assert broken(bare, "warning") == [("dom-6", "Patient")]
    contained = observation(contained=[{**bare, "id": "p"}], subject={"reference": "#p"})
    assert broken(contained, "warning") == []
    entries = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": bare}]}
    assert broken(entries, "warning") == [("dom-6", "Bundle.entry[0].resource")]
