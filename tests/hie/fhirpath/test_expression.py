"""What an expression gives: JSON as it stands, System values, nodes with their places, and errors."""

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hie.core.fhir.json import JsonObject, loads
from hie.core.fhirpath.check import check
from hie.core.fhirpath.expression import Environment, compiled
from hie.core.fhirpath.quantity import Quantity
from hie.core.fhirpath.temporal import Date, DateTime
from hie.core.fhirpath.values import system_value
from hie.core.language_errors import FhirPathError, FhirPathLimitError, FhirPathSyntaxError

PATIENT: JsonObject = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [
        {"use": "official", "family": "Doe", "given": ["Ann", None], "_given": [None, {"id": "g2"}]},
        {"use": "usual", "given": ["A"]},
    ],
    "birthDate": "1980-02-29",
    "_birthDate": {"extension": [{"url": "http://example.org/at", "valueTime": "10:30:00"}]},
    "deceasedBoolean": False,
    "contact": [{"name": {"text": "Someone"}, "telecom": [{"system": "phone", "value": "1"}]}],
    "managingOrganization": {"reference": "Organization/o1"},
    "generalPractitioner": [{"reference": "#dr"}, {"reference": "Practitioner/9/_history/2"}],
    "contained": [{"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Contained"}]}],
}
OBSERVATION: JsonObject = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
    "valueQuantity": loads(
        '{"value": 1.10, "unit": "gram", "system": "http://unitsofmeasure.org", "code": "g"}'
    ),
    "component": [{"code": {"text": "a"}, "valueInteger": 1}, {"code": {"text": "b"}, "valueString": "2"}],
}
NOW = datetime(2026, 11, 22, 12, 30, 15, 250_000, tzinfo=UTC)


def test_values_of_the_resource_come_as_the_json_that_they_are() -> None:
    assert compiled("Patient.name.given").evaluate(PATIENT) == ["Ann", "A"]
    assert compiled("name.where(use = 'usual')").evaluate(PATIENT)[0] is PATIENT["name"][1]
    value = compiled("value.value").evaluate(OBSERVATION)[0]
    assert (value, str(value)) == (Decimal("1.10"), "1.10")


def test_what_is_computed_comes_as_system_values() -> None:
    assert compiled("birthDate + 1 year").evaluate(PATIENT) == [Date((1981, 2, 28))]
    assert compiled("value + 5 'mg'").evaluate(OBSERVATION) == [Quantity(Decimal("1.105"), "g")]
    assert compiled("name.count() + 0.5").evaluate(PATIENT) == [Decimal("2.5")]
    assert compiled("now()").evaluate(PATIENT, Environment(now=NOW)) == [
        DateTime.parse("2026-11-22T12:30:15.250+00:00")
    ]


def test_a_choice_is_named_without_its_type() -> None:
    assert compiled("component.value").evaluate(OBSERVATION) == [1, "2"]
    assert compiled("component.value.ofType(string)").evaluate(OBSERVATION) == ["2"]
    assert compiled("component.valueString").evaluate(OBSERVATION) == []
    assert compiled("Patient.deceased is boolean").evaluate(PATIENT) == [True]


def test_a_primitive_that_has_only_extensions_exists_and_has_no_value() -> None:
    assert compiled("name.given.count()").evaluate(PATIENT) == [3]
    assert compiled("name.given.where(hasValue())").evaluate(PATIENT) == ["Ann", "A"]
    assert compiled("name.given.where(hasValue().not()).id").evaluate(PATIENT) == ["g2"]
    assert compiled("birthDate.extension('http://example.org/at').value").evaluate(PATIENT) == ["10:30:00"]


def test_nodes_know_their_type_and_place() -> None:
    nodes = compiled("name.given | contact.telecom | birthDate.extension.value | contained.name").nodes(
        PATIENT
    )
    assert [(node.path, node.type_name) for node in nodes] == [
        ("Patient.name[0].given[0]", "string"),
        ("Patient.name[0].given[1]", "string"),
        ("Patient.name[1].given[0]", "string"),
        ("Patient.contact[0].telecom[0]", "ContactPoint"),
        ("Patient.birthDate.extension[0].valueTime", "time"),
        ("Patient.contained[0].name[0]", "HumanName"),
    ]
    contact = compiled("contact").nodes(PATIENT)[0]
    assert (contact.type_name, contact.shape.path) == ("BackboneElement", "Patient.contact")
    assert contact.value is PATIENT["contact"][0]


def test_an_element_is_evaluated_by_the_path_of_its_content() -> None:
    contact = PATIENT["contact"][0]
    assert compiled("telecom.system").evaluate_at(contact, "Patient.contact") == ["phone"]
    assert compiled("$this > @1979").evaluate_at("1980-02-29", "date") == [True]
    extension = compiled("extension('http://example.org/at').value")
    assert extension.evaluate_at("1980-02-29", "date", extra=PATIENT["_birthDate"]) == ["10:30:00"]
    assert compiled("extension.url").evaluate_at(None, "date", extra=PATIENT["_birthDate"]) == [
        "http://example.org/at"
    ]
    with pytest.raises(FhirPathError, match=r"begins at a Patient.contact, not at a list"):
        compiled("telecom").evaluate_at([contact], "Patient.contact")
    assert compiled("%resource.id").evaluate_at(contact, "Patient.contact", Environment(root=PATIENT)) == [
        "p1"
    ]


def test_resolve_finds_contained_resources_entries_and_what_the_caller_knows() -> None:
    resources = {"Organization/o1": {"resourceType": "Organization", "name": "Clinic"}}
    environment = Environment(resolve=resources.get)
    assert compiled("managingOrganization.resolve().name").evaluate(PATIENT, environment) == ["Clinic"]
    assert compiled("generalPractitioner.resolve().name.family").evaluate(PATIENT) == ["Contained"]
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {
                "fullUrl": "urn:uuid:1",
                "resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:2"}},
            },
            {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient", "id": "p2"}},
        ],
    }
    assert compiled("entry.resource.subject.resolve().id").evaluate(bundle) == ["p2"]


def test_the_type_of_a_target_is_read_from_the_reference() -> None:
    expression = compiled("generalPractitioner.where(resolve() is Practitioner).reference")
    assert expression.evaluate(PATIENT) == ["#dr", "Practitioner/9/_history/2"]
    assert compiled("managingOrganization.resolve() is Patient").evaluate(PATIENT) == [False]


def test_keys_of_sql_on_fhir_join_resources() -> None:
    assert compiled("getResourceKey()").evaluate(PATIENT) == ["Patient/p1"]
    keys = compiled("managingOrganization.getReferenceKey(Organization)").evaluate(PATIENT)
    assert keys == compiled("getResourceKey()").evaluate({"resourceType": "Organization", "id": "o1"})
    assert compiled("managingOrganization.getReferenceKey(Patient)").evaluate(PATIENT) == []
    assert compiled("generalPractitioner.getReferenceKey()").evaluate(PATIENT) == ["Practitioner/9"]


def test_variables_of_the_caller_are_json_or_system_values() -> None:
    environment = Environment(
        variables={"use": "usual", "day": system_value("date", "1980-02-29"), "many": [1, 2], "none": None}
    )
    assert compiled("name.where(use = %use).given").evaluate(PATIENT, environment) == ["A"]
    assert compiled("birthDate = %day").evaluate(PATIENT, environment) == [True]
    assert compiled("%many.count()").evaluate(PATIENT, environment) == [2]
    assert compiled("%none.empty()").evaluate(PATIENT, environment) == [True]
    with pytest.raises(FhirPathError, match="`%other` is not given"):
        compiled("%other").evaluate(PATIENT, environment)


def test_member_of_and_conforms_to_ask_the_caller() -> None:
    asked: list[tuple[Any, str]] = []

    def member_of(code: Any, value_set: str) -> bool | None:
        asked.append((code, value_set))
        return None if value_set == "unknown" else True

    environment = Environment(member_of=member_of, conforms_to=lambda _, url: url == "http://a" or None)
    assert compiled("code.memberOf('http://vs')").evaluate(OBSERVATION, environment) == [True]
    assert compiled("code.memberOf('unknown')").evaluate(OBSERVATION, environment) == []
    assert asked[0] == (OBSERVATION["code"], "http://vs")
    assert compiled("conformsTo('http://a')").evaluate(PATIENT, environment) == [True]
    with pytest.raises(FhirPathError, match="does not know the profile `http://b`"):
        compiled("conformsTo('http://b')").evaluate(PATIENT, environment)
    with pytest.raises(FhirPathError, match="needs a terminology service"):
        compiled("code.memberOf('http://vs')").evaluate(OBSERVATION)


def test_resources_that_r4_does_not_define_are_read_by_their_json_names() -> None:
    view = {
        "resourceType": "ViewDefinition",
        "select": [{"column": [{"name": "id", "path": "id"}]}],
        "x": 1.5,
    }
    assert compiled("ViewDefinition.select.column.name").evaluate(view) == ["id"]
    assert compiled("x + 1").evaluate(view) == [Decimal("2.5")]
    assert [node.path for node in compiled("select.column").nodes(view)] == [
        "ViewDefinition.select[0].column[0]"
    ]


def test_an_invariant_is_true_only_where_its_expression_is() -> None:
    assert compiled("name.exists()").is_true(PATIENT)
    assert not compiled("name.empty()").is_true(PATIENT)
    assert not compiled("maritalStatus.text = 'x'").is_true(PATIENT)  # nothing
    assert compiled("birthDate").is_true(PATIENT)  # one item that is no Boolean
    with pytest.raises(FhirPathError, match="takes one item, not 2"):
        compiled("name").is_true(PATIENT)


def test_an_evaluation_changes_nothing() -> None:
    before = copy.deepcopy(PATIENT)
    for text in (
        "descendants()",
        "name.select(given | family)",
        "repeat(name)",
        "birthDate.extension",
        "children()",
    ):
        compiled(text).nodes(PATIENT)
        compiled(text).evaluate(PATIENT)
    assert before == PATIENT


def test_a_trace_goes_to_the_caller() -> None:
    seen: list[tuple[str, list[Any]]] = []
    environment = Environment(trace=lambda label, values: seen.append((label, values)))
    assert compiled("name.trace('names', use).count()").evaluate(PATIENT, environment) == [2]
    assert seen == [("names", ["official", "usual"])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name.", "has the end at character 6 where a name is expected"),
        ("name..given", "has `.` at character 6 where a name is expected"),
        ("name given", "has `given` at character 6 where an operator or the end is expected"),
        ("name.nosuch()", "There is no function `nosuch()`"),
        ("name.first(1)", "`first()` does not take 1 arguments"),
        ("value is Nosuch", "`Nosuch` is no type of FHIR R4"),
        ("@2024-02-30", "has `@2024-02-30`, which is no date"),
        ("'a\\q'", "has the escape `\\q`, which FHIRPath does not know"),
        ("3000000000", "larger than an Integer"),
        ("(" * 100 + "1" + ")" * 100, "nests more than 40 deep"),
        ("a" * 20_001, "The expression has 20001 characters; 20000 are taken"),
    ],
)
def test_text_that_is_no_expression_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(FhirPathSyntaxError) as raised:
        compiled(text)
    assert message in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "(1|2|3|4|5|6|7|8|9).aggregate($total & $total & $total & $total & $total & $total, 'xxxxxxxxxxxx')",
        "descendants().select(%resource.descendants().select(%resource.descendants().select(%resource.descendants())))",
        "(1|2).repeat($this + 1)",
        "(1|2|3).aggregate($total.combine($total).combine($total), %many)",
    ],
)
def test_an_evaluation_without_end_is_stopped(text: str) -> None:
    with pytest.raises(FhirPathLimitError):
        compiled(text).evaluate(PATIENT, Environment(variables={"many": ["y" * 100] * 100_000}))


def test_long_chains_are_no_depth() -> None:
    assert compiled("+".join(["1"] * 2000)).evaluate(PATIENT) == [2000]
    assert compiled(" | ".join(["name"] * 500)).evaluate(PATIENT) == PATIENT["name"]
    assert compiled("active" + ".not()" * 1000).evaluate(PATIENT) == [True]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Patient.name.given1", "Patient"),
        ("Observation.valueQuantity", "Observation"),
        ("children().first()", "Patient"),
        ("name.family.lower().length().upper() and identifier.upper() = 'A'", "Patient"),
        ("Encounter.status", "Patient"),
        ("telecom.where(rank1 = 1)", "Patient.contact"),
    ],
)
def test_a_check_refuses_what_cannot_be_meant(text: str, path: str) -> None:
    with pytest.raises(FhirPathSyntaxError):
        check(compiled(text), path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Patient.name | Practitioner.name", "Patient"),
        ("contained.name", "Patient"),
        ("value.unit", "Observation"),
        ("telecom.where(rank = 1).value.startsWith('1')", "Patient.contact"),
    ],
)
def test_a_check_passes_what_may_be_meant(text: str, path: str) -> None:
    check(compiled(text), path)
