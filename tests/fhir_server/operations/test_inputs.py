"""Inputs of operations: https://hl7.org/fhir/R4/operations.html#request."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.operations.inputs import Inputs, read_inputs
from fhir_server.operations.parameter import Parameter
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.errors import (
    ExchangeError,
    Issue,
    MissingParameterError,
    ParameterValueError,
    RequestError,
    UnknownParameterError,
)
from hie.core.fhir.json import Json, JsonObject
from hie.core.settings import ValidationLevel

VALIDATOR = ResourceValidator(StructureValidator())

DEPENDENCY = (
    Parameter("element", "in", 1, "1", "uri", ""),
    Parameter("concept", "in", 0, "1", "CodeableConcept", ""),
)
PARAMETERS = (
    Parameter("code", "in", 1, "1", "code", ""),
    Parameter("system", "in", 0, "*", "uri", ""),
    Parameter("coding", "in", 0, "1", "Coding", ""),
    Parameter("flag", "in", 0, "1", "boolean", ""),
    Parameter("count", "in", 0, "2", "integer", ""),
    Parameter("since", "in", 0, "1", "instant", ""),
    Parameter("any", "in", 0, "1", "Element", ""),
    Parameter("quantity", "in", 0, "1", "Quantity", ""),
    Parameter("dependency", "in", 0, "*", "", "", DEPENDENCY),
    Parameter("resource", "in", 0, "1", "Resource", ""),
)


def check(resource: JsonObject) -> list[Issue]:
    return VALIDATOR.validate(resource, level=ValidationLevel.STRUCTURE)


def from_query(*query: tuple[str, str], **options: bool) -> Inputs:
    return read_inputs(PARAMETERS, query, None, check, **options)


def from_parameters(*entries: JsonObject, **options: bool) -> Inputs:
    body = {"resourceType": "Parameters", "parameter": list(entries)}
    return read_inputs(PARAMETERS, (), body, check, **options)


CODE = {"name": "code", "valueCode": "a"}


def test_a_query_string_gives_typed_values() -> None:
    inputs = from_query(
        ("code", "a"),
        ("system", "http://a.example"),
        ("system", "http://b.example"),
        ("flag", "true"),
        ("count", "-3"),
        ("since", "2020-01-01T00:00:00 08:00"),
        ("_format", "json"),
        ("_pretty", "true"),
    )
    assert inputs.one("code", "code") == "a"
    assert inputs.all("system") == ["http://a.example", "http://b.example"]
    assert inputs.one("flag", "boolean") is True
    assert inputs.one("count", "integer") == -3
    assert inputs.one("since", "instant") == "2020-01-01T00:00:00+08:00"
    assert inputs.one("coding") is None
    assert "flag" in inputs
    assert "coding" not in inputs


def test_parameters_give_typed_values() -> None:
    inputs = from_parameters(
        CODE,
        {"name": "coding", "valueCoding": {"system": "http://a.example", "code": "x"}},
        {"name": "quantity", "valueAge": {"value": Decimal("1.50")}},
        {"name": "any", "valueDecimal": Decimal("1.10")},
        {"name": "resource", "resource": {"resourceType": "Patient", "birthDate": "no date"}},
        {"name": "dependency", "part": [{"name": "element", "valueUri": "http://e.example"}]},
        {
            "name": "dependency",
            "part": [
                {"name": "element", "valueUri": "http://f.example"},
                {"name": "concept", "valueCodeableConcept": {"text": "t"}},
            ],
        },
    )
    assert inputs.one("coding", "Coding") == {"system": "http://a.example", "code": "x"}
    assert inputs.one("quantity", "Quantity") == {"value": Decimal("1.50")}
    assert inputs.one("any") == Decimal("1.10")
    assert inputs.one("any", "decimal") == Decimal("1.10")
    assert inputs.one("any", "Coding") is None
    # An operation such as $validate takes what is not valid.
    assert inputs.resource("resource") == {"resourceType": "Patient", "birthDate": "no date"}
    assert [part.one("element") for part in inputs.parts("dependency")] == [
        "http://e.example",
        "http://f.example",
    ]
    assert inputs.parts("dependency")[1].one("concept") == {"text": "t"}


@pytest.mark.parametrize("key", ["valueString", "valueId", "valueCode"])
def test_a_primitive_counts_by_its_value_whatever_primitive_type_it_is_given_as(key: str) -> None:
    assert from_parameters({"name": "code", key: "a"}).one("code", "code") == "a"


def test_a_resource_is_the_body_itself_where_one_input_is_a_resource() -> None:
    patient = {"resourceType": "Patient", "id": "p"}
    assert read_inputs(PARAMETERS, [("code", "a")], patient, check).resource("resource") == patient


@pytest.mark.parametrize(
    "body", [{"resourceType": "Parameters"}, {"resourceType": "Parameters", "parameter": []}]
)
def test_parameters_without_any_are_no_inputs(body: JsonObject) -> None:
    assert "code" not in read_inputs(PARAMETERS[1:], (), body, check)


def test_a_resource_is_no_body_of_an_operation_that_takes_none() -> None:
    with pytest.raises(RequestError, match="The body is a Patient, expected Parameters"):
        read_inputs(PARAMETERS[:1], [("code", "a")], {"resourceType": "Patient"}, check)


REFUSED: list[tuple[type[ExchangeError], str, tuple[JsonObject, ...]]] = [
    (UnknownParameterError, "Parameters.parameter[1]", (CODE, {"name": "colour", "valueString": "red"})),
    (MissingParameterError, "Parameters.parameter", ({"name": "flag", "valueBoolean": True},)),
    (ParameterValueError, "Parameters.parameter[1].value", (CODE, CODE)),
    (ParameterValueError, "Parameters.parameter[0].value", ({"name": "code", "valueBoolean": True},)),
    (ParameterValueError, "Parameters.parameter[0].value", ({"name": "code", "valueString": " a"},)),
    (ParameterValueError, "Parameters.parameter[0].value", ({"name": "code"},)),
    (
        ParameterValueError,
        "Parameters.parameter[0].value",
        ({"name": "code", "valueCode": "a", "valueUri": "b"},),
    ),
    (ParameterValueError, "Parameters.parameter[1].value", (CODE, {"name": "coding", "valueString": "x"})),
    (ParameterValueError, "Parameters.parameter[1].value", (CODE, {"name": "coding", "valueQuantity": {}})),
    (ParameterValueError, "Parameters.parameter[1].value", (CODE, {"name": "flag", "valueString": "true"})),
    (
        ParameterValueError,
        "Parameters.parameter[3].value",
        (CODE, *({"name": "count", "valueInteger": number} for number in range(3))),
    ),
    (
        ParameterValueError,
        "Parameters.parameter[1].resource",
        (CODE, {"name": "resource", "valueString": "x"}),
    ),
    (ParameterValueError, "Parameters.parameter[1].resource", (CODE, {"name": "resource", "resource": {}})),
    (ParameterValueError, "Parameters.parameter[1].part", (CODE, {"name": "dependency", "valueString": "x"})),
    (
        MissingParameterError,
        "Parameters.parameter[1]",
        (CODE, {"name": "dependency", "part": [{"name": "concept", "valueCodeableConcept": {"text": "t"}}]}),
    ),
    (
        UnknownParameterError,
        "Parameters.parameter[1].part[0]",
        (CODE, {"name": "dependency", "part": [{"name": "colour", "valueString": "red"}]}),
    ),
    (RequestError, "Parameters.parameter[0].name", ({"valueString": "x"},)),
    # Inside a value the validator decides.
    (
        RequestError,
        "Parameters.parameter[1].value.ofType(Coding).code",
        (CODE, {"name": "coding", "valueCoding": {"code": 7}}),
    ),
]


@pytest.mark.parametrize(("kind", "expression", "entries"), REFUSED)
def test_parameters_that_the_definition_does_not_know_are_refused_with_their_expression(
    kind: type[ExchangeError], expression: str, entries: tuple[JsonObject, ...]
) -> None:
    with pytest.raises(kind) as refused:
        from_parameters(*entries)
    assert refused.value.status == 400
    assert refused.value.issues[0].expression == expression


@pytest.mark.parametrize(
    ("kind", "expression", "query"),
    [
        (UnknownParameterError, "colour", [("code", "a"), ("colour", "red")]),
        (MissingParameterError, "code", [("flag", "true")]),
        (ParameterValueError, "flag", [("code", "a"), ("flag", "yes")]),
        (ParameterValueError, "count", [("code", "a"), ("count", "99999999999")]),
        (ParameterValueError, "count", [("code", "a"), ("count", "1.0")]),
        (ParameterValueError, "since", [("code", "a"), ("since", "2020")]),
        (ParameterValueError, "coding", [("code", "a"), ("coding", "x")]),
        (ParameterValueError, "dependency", [("code", "a"), ("dependency", "x")]),
    ],
)
def test_a_query_that_the_definition_does_not_know_is_refused_by_name(
    kind: type[ExchangeError], expression: str, query: list[tuple[str, str]]
) -> None:
    with pytest.raises(kind) as refused:
        from_query(*query)
    assert (refused.value.status, refused.value.expression) == (400, expression)


def test_names_that_are_no_parameter_are_search_parameters_where_the_operation_takes_them() -> None:
    inputs = from_query(("code", "a"), ("patient", "Patient/1"), takes_search=True)
    assert inputs.search == (("patient", "Patient/1"),)
    inputs = from_parameters(CODE, {"name": "category", "valueString": "lab"}, takes_search=True)
    assert inputs.search == (("category", "lab"),)
    with pytest.raises(ParameterValueError):
        from_parameters(CODE, {"name": "category", "valueInteger": 1}, takes_search=True)


def test_names_that_are_no_parameter_are_left_out_and_named_where_the_operation_is_lenient() -> None:
    inputs = from_query(("code", "a"), ("colour", "red"), ("colour", "blue"), is_lenient=True)
    assert inputs.ignored == ("colour",)


_NAMES = st.sampled_from([each.name for each in PARAMETERS] + ["colour", ""])
_KEYS = st.sampled_from(["valueCode", "valueInteger", "valueCoding", "resource", "part", "valueX", "value"])
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "resourceType", "code", "part"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"name": _NAMES | _VALUES}).flatmap(
            lambda entry: st.dictionaries(_KEYS, _VALUES, max_size=2).map(lambda more: {**entry, **more})
        )
        | _VALUES,
        max_size=3,
    )
    | _VALUES
)
def test_no_body_makes_anything_but_a_refusal(entries: Json) -> None:
    body = {"resourceType": "Parameters", "parameter": entries}
    try:
        read_inputs(PARAMETERS, (), body, check)
    except ExchangeError as error:
        assert error.status < 500  # noqa: PT017 - whatever is raised is the subject
