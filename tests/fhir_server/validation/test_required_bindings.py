"""Codes of required bindings, in every element of R4 that has one whose value set can be listed."""

from pathlib import Path
from random import Random

import pytest

from fhir_server.definitions.bindings import bindings, required_codes
from fhir_server.definitions.value_sets import code_system, value_set
from fhir_server.validation.rules import RuleSet
from fhir_server.validation.structure import StructureValidator, load_definition
from hie.core.errors import Issue
from hie.core.fhir.json import Json, JsonObject, loads
from tests.fhir_server.validation.mutations import least, one_or_many

VALIDATOR = StructureValidator()
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"

# Required bindings whose value sets list no codes: MIME types (BCP 13), currencies (ISO 4217) and
# UCUM are systems of others, LL379-9 is a value set of LOINC.
NOT_LISTED = {
    "http://hl7.org/fhir/ValueSet/mimetypes",
    "http://hl7.org/fhir/ValueSet/currencies",
    "http://hl7.org/fhir/ValueSet/ucum-units",
    "http://loinc.org/vs/LL379-9",
}


def condition(status: Json) -> JsonObject:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "clinicalStatus": status}


def test_every_required_binding_is_enforced_unless_its_value_set_cannot_be_listed() -> None:
    not_listed = {
        binding.value_set
        for path, binding in bindings().items()
        if binding.strength == "required"
        and required_codes(path.rpartition(".")[0], path.rpartition(".")[2]) is None
    }
    assert not_listed == NOT_LISTED


def test_each_bound_element_takes_the_codes_of_its_value_set_and_no_other() -> None:
    random = Random(20240229)  # noqa: S311  # chooses test values
    rules = RuleSet(load_definition, (), required_codes)
    checked = set()
    for path in bindings():
        owner, _, name = path.rpartition(".")
        codes = required_codes(owner, name)
        type_name = "".join(step[:1].upper() + step[1:] for step in owner.split("."))
        definition = load_definition(owner) or load_definition(type_name)
        if codes is None or definition is None:
            continue
        (element,) = [e for e in definition.elements if (e.choice or e.name) == name]
        base = least(definition.name, random)
        for system, listed in codes.codes.items():
            for code in sorted(listed)[:5]:
                good = code if element.type == "code" else {"coding": [{"system": system, "code": code}]}
                value = {**base, element.name: one_or_many(element, good)}
                assert rules.rule(definition.name)(value, 1) is None, value
        bad = "no-such-code" if element.type == "code" else {"coding": [{"system": "a", "code": "b"}]}
        (finding,) = rules.rule(definition.name)({**base, element.name: one_or_many(element, bad)}, 1) or []
        assert finding.code == "code-invalid"
        assert finding.path == f".{element.segment}{'[0]' if element.is_list else ''}"
        checked.add(path)
    # MetadataResource is a pattern, not a type; the four of above; the rest is checked
    required = {path for path, binding in bindings().items() if binding.strength == "required"}
    assert {path for path in required - checked if not path.startswith("MetadataResource.")} == {
        path for path in required if bindings()[path].value_set in NOT_LISTED
    }


@pytest.mark.parametrize(
    ("resource", "issue"),
    [
        (
            {"resourceType": "Patient", "gender": "bad"},
            Issue(
                "error",
                "code-invalid",
                "`bad` is not in the value set http://hl7.org/fhir/ValueSet/administrative-gender: "
                "female, male, other, unknown",
                "Patient.gender",
            ),
        ),
        (
            {"resourceType": "Patient", "gender": "Male"},
            Issue(
                "error",
                "code-invalid",
                "`Male` is not in the value set http://hl7.org/fhir/ValueSet/administrative-gender: "
                "female, male, other, unknown",
                "Patient.gender",
            ),
        ),
        (
            {"resourceType": "Patient", "gender": ["male"]},
            Issue("error", "structure", "Expected code, found an array", "Patient.gender"),
        ),
        (
            condition({"text": "better"}),
            Issue(
                "error",
                "code-invalid",
                "A concept without coding is not in the value set "
                "http://hl7.org/fhir/ValueSet/condition-clinical: "
                "active, inactive, recurrence, relapse, remission, resolved",
                "Condition.clinicalStatus",
            ),
        ),
        (
            condition({"coding": [{"system": "http://hie.example/status", "code": "active"}]}),
            Issue(
                "error",
                "code-invalid",
                "`http://hie.example/status|active` is not in the value set "
                "http://hl7.org/fhir/ValueSet/condition-clinical: "
                "active, inactive, recurrence, relapse, remission, resolved",
                "Condition.clinicalStatus",
            ),
        ),
        (
            condition({"coding": [{"system": CLINICAL, "code": "better"}, {"system": CLINICAL}]}),
            Issue(
                "error",
                "code-invalid",
                f"`{CLINICAL}|better` and `{CLINICAL}|` is not in the value set "
                "http://hl7.org/fhir/ValueSet/condition-clinical: "
                "active, inactive, recurrence, relapse, remission, resolved",
                "Condition.clinicalStatus",
            ),
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": {"resourceType": "Patient", "name": [{"use": "first"}]}}],
            },
            Issue(
                "error",
                "code-invalid",
                "`first` is not in the value set http://hl7.org/fhir/ValueSet/name-use: "
                "anonymous, maiden, nickname, official, old, temp, usual",
                "Bundle.entry[0].resource.name[0].use",
            ),
        ),
    ],
)
def test_a_code_outside_a_required_binding_is_an_error(resource: JsonObject, issue: Issue) -> None:
    assert VALIDATOR.validate(resource) == [issue]


@pytest.mark.parametrize(
    "status",
    [
        {"coding": [{"system": CLINICAL, "code": "active"}]},
        {
            "coding": [
                {"system": "http://hie.example/status", "code": "1"},
                {"system": CLINICAL, "code": "active"},
            ]
        },
    ],
)
def test_one_coding_of_the_value_set_suffices(status: JsonObject) -> None:
    assert VALIDATOR.validate(condition(status)) == []


def test_a_value_set_tells_members_from_others_and_from_what_it_cannot_tell() -> None:
    gender = value_set("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1")
    assert gender is not None
    assert gender.has("male") is True
    assert gender.has("male", "http://hl7.org/fhir/administrative-gender") is True
    assert gender.has("male", "http://hie.example/gender") is False
    assert gender.has("M") is False
    # also selects from other systems
    language = value_set("http://hl7.org/fhir/ValueSet/observation-codes")
    assert language is None
    open_set = value_set("http://hl7.org/fhir/ValueSet/use-context")
    assert open_set is not None
    assert open_set.has("no-such-code") is None
    system = code_system("http://hl7.org/fhir/administrative-gender")
    assert system is not None
    assert system.codes == frozenset({"male", "female", "other", "unknown"})
    assert code_system("http://snomed.info/sct") is None


def test_every_r4_example_has_codes_of_its_required_bindings(conformance_data: Path) -> None:
    refused = {
        path.name: {issue.code for issue in issues}
        for path in (conformance_data / "fhir" / "r4-examples").glob("*.json")
        if path.name != "PACKAGE.json" and (issues := VALIDATOR.validate(loads(path.read_bytes())))
    }
    # its items have no linkId, which R4 requires
    assert refused == {"Questionnaire-qs1.json": {"required"}}


def test_every_bundle_of_synthea_has_codes_of_its_required_bindings(conformance_data: Path) -> None:
    for path in (conformance_data / "fhir" / "synthea-r4").glob("*.json"):
        assert VALIDATOR.validate(loads(path.read_bytes())) == [], path.name
