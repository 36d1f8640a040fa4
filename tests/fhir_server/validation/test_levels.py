"""How deep validation looks: off, structure, strict, profile; and what each adds."""

from typing import Literal

import pytest

from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.strict import expression, validate_strictly
from fhir_server.validation.structure import StructureValidator
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject
from hie.core.ports import Validator
from hie.core.settings import ValidationLevel

VALIDATOR: Validator = ResourceValidator(StructureValidator())

VALID: JsonObject = {"resourceType": "Patient", "gender": "female"}
# R4 allows an extension in place of a required choice; fhir.resources does not look for it.
ONLY_STRUCTURALLY_VALID: JsonObject = {
    "resourceType": "Immunization",
    "status": "completed",
    "vaccineCode": {"text": "BCG"},
    "patient": {"reference": "Patient/1"},
    "_occurrenceDateTime": {"extension": [{"url": "http://hie.example/absent", "valueCode": "unknown"}]},
}
INVALID: JsonObject = {"resourceType": "Patient", "active": "true"}


@pytest.mark.parametrize("resource", [VALID, ONLY_STRUCTURALLY_VALID, INVALID])
def test_off_finds_nothing(resource: JsonObject) -> None:
    assert VALIDATOR.validate(resource, level=ValidationLevel.OFF) == []


@pytest.mark.parametrize("level", [ValidationLevel.STRUCTURE, ValidationLevel.STRICT])
def test_a_valid_resource_is_valid_at_every_level(level: ValidationLevel) -> None:
    assert VALIDATOR.validate(VALID, level=level) == []


@pytest.mark.parametrize("level", [ValidationLevel.STRUCTURE, ValidationLevel.STRICT])
def test_strict_refuses_what_structure_refuses(level: ValidationLevel) -> None:
    assert VALIDATOR.validate(INVALID, level=level) == [
        Issue("error", "value", "Expected boolean, found `true`", "Patient.active")
    ]


def test_strict_adds_what_fhir_resources_finds() -> None:
    assert VALIDATOR.validate(ONLY_STRUCTURALLY_VALID, level=ValidationLevel.STRUCTURE) == []
    issues = VALIDATOR.validate(ONLY_STRUCTURALLY_VALID, level=ValidationLevel.STRICT)
    assert issues == [
        Issue(
            "error",
            "value",
            "fhir.resources: Value error, Expect any of field value from this list "
            "['occurrenceDateTime', 'occurrenceString'].",
            "Immunization",
        )
    ]


@pytest.mark.parametrize(
    ("resource", "code", "where"),
    [
        ({"resourceType": "Patient", "name": [{"family": 5}]}, "value", "Patient.name[0].family"),
        ({"resourceType": "Patient", "foo": 5}, "structure", "Patient"),
        ({"resourceType": "Patient", "name": {}}, "structure", "Patient.name"),
        ({"resourceType": "Observation", "code": {"text": "a"}}, "required", "Observation.status"),
        (
            {"resourceType": "Observation", "status": "a", "code": {}, "valueQuantity": {"value": "a"}},
            "value",
            "Observation.value.ofType(Quantity).value",
        ),
        (
            {"resourceType": "Patient", "_birthDate": {"extension": [{"valueString": "a"}]}},
            "required",
            "Patient.birthDate.extension[0].url",
        ),
    ],
)
def test_errors_of_fhir_resources_become_issues(
    resource: JsonObject, code: Literal["value", "structure", "required"], where: str
) -> None:
    issues = validate_strictly(resource)
    assert [(issue.severity, issue.code, issue.expression) for issue in issues] == [("error", code, where)]
    assert issues[0].message.startswith("fhir.resources: ")


def test_a_type_without_class_is_left_to_its_r4_definition() -> None:
    product = {"resourceType": "MedicinalProduct", "name": [{"productName": "Example"}]}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": product}]}
    assert VALIDATOR.validate(product, level=ValidationLevel.STRICT) == []
    assert VALIDATOR.validate(bundle, level=ValidationLevel.STRICT) == []
    assert VALIDATOR.validate({**product, "name": [{}]}, level=ValidationLevel.STRICT) == [
        Issue("error", "structure", "An object must not be empty", "MedicinalProduct.name[0]")
    ]


def test_an_expression_ends_where_the_location_leaves_the_elements() -> None:
    assert expression("Patient", ("name", 0, "fhir_comments", "str")) == "Patient.name[0]"
    assert expression("Patient", ("contained", 0, "root")) == "Patient.contained[0]"
    assert expression("Patient", ("deceasedBoolean",)) == "Patient.deceased.ofType(boolean)"


def test_profile_adds_the_invariants_of_r4_and_refuses_for_errors_only() -> None:
    # dom-6, a missing narrative, is a warning
    assert VALIDATOR.validate(VALID, level=ValidationLevel.PROFILE) == []
    nobody: JsonObject = {"resourceType": "Patient", "contact": [{"gender": "female"}]}
    assert VALIDATOR.validate(nobody, level=ValidationLevel.STRICT) == []
    found = VALIDATOR.validate(nobody, level=ValidationLevel.PROFILE)
    assert [(issue.severity, issue.code, issue.expression) for issue in found] == [
        ("warning", "invariant", "Patient"),
        ("error", "invariant", "Patient.contact[0]"),
    ]
    assert VALIDATOR.validate(INVALID, level=ValidationLevel.PROFILE) == [
        Issue("error", "value", "Expected boolean, found `true`", "Patient.active")
    ]


def test_examine_says_all_that_can_be_said() -> None:
    issues = VALIDATOR.examine(VALID, profiles=["http://profile.example/StructureDefinition/unknown"])
    assert [(issue.severity, issue.code) for issue in issues] == [
        ("error", "not-found"),
        ("warning", "invariant"),
    ]
