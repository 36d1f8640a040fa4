"""What the structural validator says about a wrong resource: every finding, with code and expression."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from fhir_server.validation.finding import MAX_FINDINGS
from fhir_server.validation.rules import MAX_DEPTH
from fhir_server.validation.structure import StructureValidator
from hie.core.errors import Issue
from hie.core.fhir.json import Json, JsonObject, loads

VALIDATOR = StructureValidator()


def patient(**elements: Json) -> JsonObject:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Json) -> JsonObject:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "血红蛋白"}, **elements}


def error(code: str, expression: str, message: str) -> Issue:
    return Issue("error", code, message, expression)


def test_a_valid_resource_has_no_issue() -> None:
    resource = observation(
        id="1",
        meta={
            "profile": ["http://hie.example/StructureDefinition/a"],
            "lastUpdated": "2024-02-29T10:00:00.123+08:00",
        },
        contained=[
            patient(id="p", name=[{"family": "示例", "given": ["一", None], "_given": [None, {"id": "g"}]}])
        ],
        subject={"reference": "#p"},
        effectiveDateTime="2024-02-29",
        valueQuantity={"value": Decimal("13.50"), "unit": "g/dL"},
        _status={"extension": [{"url": "http://hie.example/a", "valueInteger": 1}]},
    )
    assert VALIDATOR.validate(resource) == []
    assert VALIDATOR.is_valid(resource)


WRONG: list[tuple[Json, list[Issue]]] = [
    (patient(nme=[]), [error("structure", "Patient.nme", "Unknown element `nme`")]),
    (
        patient(birthDate="1970-13-01"),
        [error("value", "Patient.birthDate", "Expected date, found `1970-13-01`")],
    ),
    (
        patient(birthDate="1970-02-29"),
        [error("value", "Patient.birthDate", "Expected date, found `1970-02-29`")],
    ),
    (
        patient(active="true"),
        [error("value", "Patient.active", "Expected boolean, found `true`")],
    ),
    (
        patient(multipleBirthInteger=True),
        [
            error(
                "value",
                "Patient.multipleBirth.ofType(integer)",
                "Expected integer, found true",
            )
        ],
    ),
    (
        patient(name={"family": "a"}),
        [error("structure", "Patient.name", "Expected an array, found an object")],
    ),
    (patient(gender=["male"]), [error("structure", "Patient.gender", "Expected code, found an array")]),
    (
        patient(name=[{"family": "a"}, {"family": 5, "given": ["b", ""]}]),
        [
            error("value", "Patient.name[1].family", "Expected string, found the number 5"),
            error("value", "Patient.name[1].given[1]", "Expected string, found an empty string"),
        ],
    ),
    (patient(name=[]), [error("structure", "Patient.name", "An array must not be empty")]),
    (patient(name=[{}]), [error("structure", "Patient.name[0]", "An object must not be empty")]),
    (patient(birthDate=None), [error("structure", "Patient.birthDate", "Expected date, found null")]),
    (patient(contact=None), [error("structure", "Patient.contact", "Expected an array, found null")]),
    (
        patient(name=[{"given": [None, "a", None], "_given": [{"id": "a"}]}]),
        [
            error(
                "structure",
                "Patient.name[0].given[2]",
                "Null, with neither a value nor an extension at this position",
            )
        ],
    ),
    (
        patient(name=[{"given": [None, "a"], "_given": [None, {"id": "a"}]}]),
        [
            error(
                "structure",
                "Patient.name[0].given[0]",
                "Null, with neither a value nor an extension at this position",
            )
        ],
    ),
    (
        patient(name=[{"_given": [None]}]),
        [
            error(
                "structure",
                "Patient.name[0].given[0]",
                "Null, with neither a value nor an extension at this position",
            )
        ],
    ),
    (
        patient(_birthDate={"extension": [{"valueString": "a"}]}),
        [error("required", "Patient.birthDate.extension[0].url", "`url` is required")],
    ),
    (
        {"resourceType": "Observation"},
        [
            error("required", "Observation.code", "`code` is required"),
            error("required", "Observation.status", "`status` is required"),
        ],
    ),
    (
        observation(valueString="a", valueInteger=1),
        [
            error(
                "structure",
                "Observation.value",
                "Only one form of `value[x]` may be given, found `valueInteger`, `valueString`",
            )
        ],
    ),
    (
        observation(valueQuantity={"value": "5"}),
        [error("value", "Observation.value.ofType(Quantity).value", "Expected decimal, found `5`")],
    ),
    (
        {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"text": "a"},
            "patient": {"id": "a"},
        },
        [error("required", "Immunization.occurrence", "One form of `occurrence[x]` is required")],
    ),
    (
        {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"text": "a"},
            "patient": {"id": "a"},
            "_occurrenceDateTime": {"id": "a"},
        },
        [error("required", "Immunization.occurrence", "One form of `occurrence[x]` is required")],
    ),
    (
        patient(
            contained=[
                {"id": "a"},
                {"resourceType": "Foo"},
                {"resourceType": 5},
                "a",
                {"resourceType": "Basic"},
            ]
        ),
        [
            error("required", "Patient.contained[0]", "`resourceType` is required"),
            error("not-supported", "Patient.contained[1]", "`Foo` is not a resource type of FHIR R4"),
            error("structure", "Patient.contained[2]", "`resourceType` must be a string, found a number"),
            error("structure", "Patient.contained[3]", "Expected a resource, found a string"),
            error("required", "Patient.contained[4].code", "`code` is required"),
        ],
    ),
    (
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": patient(gender=" ")}, {"resource": patient(foo=1), "fullUrl": "a b"}],
        },
        [
            error("value", "Bundle.entry[0].resource.gender", "Expected code, found ` `"),
            error("structure", "Bundle.entry[1].resource.foo", "Unknown element `foo`"),
            error("value", "Bundle.entry[1].fullUrl", "Expected uri, found `a b`"),
        ],
    ),
    (
        patient(name=[{"resourceType": "HumanName"}]),
        [
            error("structure", "Patient.name[0].resourceType", "Unknown element `resourceType`"),
        ],
    ),
    ({}, [error("required", "Resource", "`resourceType` is required")]),
    ([], [error("structure", "Resource", "Expected a resource, found an array")]),
    (None, [error("structure", "Resource", "Expected a resource, found null")]),
    ("Patient", [error("structure", "Resource", "Expected a resource, found a string")]),
    (
        {"resourceType": "DomainResource"},
        [error("not-supported", "Resource", "`DomainResource` is not a resource type of FHIR R4")],
    ),
    (
        {
            "resourceType": "MedicinalProduct",
            "name": [{"productName": 1}],
            "marketingStatus": [{"status": {"text": "a"}}],
        },
        [
            error(
                "value",
                "MedicinalProduct.name[0].productName",
                "Expected string, found the number 1",
            ),
            error("required", "MedicinalProduct.marketingStatus[0].country", "`country` is required"),
            error("required", "MedicinalProduct.marketingStatus[0].dateRange", "`dateRange` is required"),
        ],
    ),
]


@pytest.mark.parametrize(("resource", "issues"), WRONG)
def test_every_finding_is_reported(resource: Json, issues: list[Issue]) -> None:
    assert VALIDATOR.validate(resource) == issues
    assert not VALIDATOR.is_valid(resource)


def test_a_message_does_not_repeat_the_words_of_a_patient() -> None:
    resource = patient(
        name=[{"family": "　"}], photo=[{"data": "Secret!"}], text={"status": "empty", "div": ""}
    )
    assert [issue.message for issue in VALIDATOR.validate(resource)] == [
        "Expected string, found only white space",
        "Expected base64Binary, found other text",
        "Expected xhtml, found an empty string",
    ]


def test_a_string_past_the_limit_of_fhir_is_refused_with_its_length() -> None:
    assert VALIDATOR.validate(patient(name=[{"text": "a" * 1048577}])) == [
        error("value", "Patient.name[0].text", "Expected string, found 1048577 characters, more than 1048576")
    ]


def test_a_long_value_is_cut_in_the_message() -> None:
    assert (
        VALIDATOR.validate(patient(gender=" " * 1000))[0].message == f"Expected code, found `{' ' * 40}...`"
    )
    assert VALIDATOR.validate(patient(**{"x" * 1000: 1}))[0].message == f"Unknown element `{'x' * 64}...`"


def test_a_number_too_long_to_print_is_refused() -> None:
    number = 10**5000
    assert VALIDATOR.validate(patient(multipleBirthInteger=number)) == [
        error(
            "value",
            "Patient.multipleBirth.ofType(integer)",
            "Expected integer, found the number with thousands of digits",
        )
    ]


def test_findings_past_the_limit_are_left_out_and_that_is_said() -> None:
    issues = VALIDATOR.validate(patient(name=[{"foo": 1}] * 1000, bar=1))
    assert len(issues) == MAX_FINDINGS + 1
    assert issues[-2] == error("structure", f"Patient.name[{MAX_FINDINGS - 1}].foo", "Unknown element `foo`")
    assert issues[-1] == Issue("information", "incomplete", "There may be more findings", "Patient")


def test_an_array_of_filled_nulls_of_any_length_does_not_hide_what_follows() -> None:
    given: list[Json] = [None] * 500
    twin: list[Json] = [{"id": "a"}] * 500
    assert VALIDATOR.is_valid(patient(name=[{"given": given, "_given": twin}]))
    assert VALIDATOR.validate(patient(name=[{"given": [*given, 5], "_given": twin}])) == [
        error("value", "Patient.name[0].given[500]", "Expected string, found the number 5")
    ]


def nested(levels: int) -> JsonObject:
    value: JsonObject = {"url": "http://hie.example/a", "valueBoolean": True}
    for _ in range(levels):
        value = {"url": "http://hie.example/a", "extension": [value]}
    return patient(extension=[value])


def test_nesting_is_bounded_and_no_recursion_fails() -> None:
    assert VALIDATOR.is_valid(nested(MAX_DEPTH - 2))
    steps = ".extension[0]" * MAX_DEPTH
    assert VALIDATOR.validate(nested(MAX_DEPTH - 1)) == [
        error("too-costly", f"Patient{steps}", f"Nested deeper than {MAX_DEPTH} elements")
    ]
    assert VALIDATOR.validate(nested(100_000)) == VALIDATOR.validate(nested(MAX_DEPTH - 1))


def deep_texts() -> Iterator[str]:
    levels = 300
    yield '{"resourceType":"Patient","contained":[' * levels + '{"resourceType":"Patient"}' + "]}" * levels
    yield '{"resourceType":"Patient","name":' + "[" * levels + "]" * levels + "}"
    questions = (
        '{"linkId":"1","type":"group","item":[' * levels + '{"linkId":"1","type":"group"}' + "]}" * levels
    )
    yield '{"resourceType":"Questionnaire","status":"draft","item":[' + questions + "]}"


def test_deep_json_of_any_kind_is_an_issue() -> None:
    for text in deep_texts():
        issues = VALIDATOR.validate(loads(text))
        assert [issue.severity for issue in issues] == ["error"]


def test_preparing_a_type_compiles_it() -> None:
    validator = StructureValidator()
    validator.prepare(["Patient", "MedicinalProduct"])
    assert validator.is_valid(patient(id="1"))
    with pytest.raises(LookupError, match="No definition of the type Foo"):
        validator.prepare(["Foo"])
