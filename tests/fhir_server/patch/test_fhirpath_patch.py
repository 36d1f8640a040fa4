"""FHIRPath Patch beyond HL7's cases: primitives with extensions, choices, refusals that change nothing."""

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.patch.fhirpath_patch import apply_fhirpath_patch
from hie.core.errors import ExchangeError
from hie.core.fhir.json import Json, JsonObject
from hie.core.language_errors import FhirPathError, FhirPathSyntaxError, PatchError, PatchSyntaxError

PATIENT: JsonObject = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [
        {"family": "Doe", "given": ["A", "B", "C"], "_given": [None, {"id": "b"}, None]},
        {"use": "usual", "given": ["D"]},
    ],
    "birthDate": "1980-01-01",
    "_birthDate": {"extension": [{"url": "http://example.org/at", "valueTime": "10:30:00"}]},
    "deceasedBoolean": False,
    "contact": [{"gender": "male"}],
}


def operation(kind: str, path: str, **parts: Json) -> JsonObject:
    """Return a parameter: parts are (type, value) for a value[x], a list for parts of a part."""
    part: list[JsonObject] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, given_part in parts.items():
        if isinstance(given_part, list):
            part.append({"name": name, "part": given_part})
        else:
            suffix, value = given_part
            part.append({"name": name, f"value{suffix}": value})
    return {"name": "operation", "part": part}


def parameters(*operations: JsonObject) -> JsonObject:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def patched(*operations: JsonObject, resource: JsonObject = PATIENT) -> JsonObject:
    before = copy.deepcopy(resource)
    try:
        return apply_fhirpath_patch(resource, parameters(*operations))
    finally:
        assert resource == before


def test_deleting_a_primitive_of_a_list_keeps_the_others_beside_their_extensions() -> None:
    name = patched(operation("delete", "Patient.name[0].given[0]"))["name"][0]
    assert (name["given"], name["_given"]) == (["B", "C"], [{"id": "b"}, None])
    name = patched(operation("delete", "Patient.name[0].given[1]"))["name"][0]
    assert name == {"family": "Doe", "given": ["A", "C"]}


def test_moving_and_inserting_take_extensions_along() -> None:
    move = operation("move", "Patient.name[0].given", source=("Integer", 1), destination=("Integer", 0))
    name = patched(move)["name"][0]
    assert (name["given"], name["_given"]) == (["B", "A", "C"], [{"id": "b"}, None, None])
    insert = operation("insert", "Patient.name[0].given", index=("Integer", 1), value=("String", "X"))
    name = patched(insert)["name"][0]
    assert (name["given"], name["_given"]) == (["A", "X", "B", "C"], [None, None, {"id": "b"}, None])


def test_replacing_a_primitive_replaces_its_extensions() -> None:
    result = patched(operation("replace", "Patient.birthDate", value=("Date", "1990-01-01")))
    assert result["birthDate"] == "1990-01-01"
    assert "_birthDate" not in result


def test_extensions_of_primitives_are_added_and_deleted() -> None:
    extension = ("Extension", {"url": "http://example.org/b", "valueCode": "x"})
    added = patched(
        operation("add", "Patient.contact[0].gender", name=("String", "extension"), value=extension)
    )
    assert added["contact"][0]["_gender"] == {"extension": [extension[1]]}
    deleted = patched(operation("delete", "Patient.birthDate.extension[0]"))
    assert deleted["birthDate"] == "1980-01-01"
    assert "_birthDate" not in deleted


def test_a_choice_takes_each_of_its_types_and_one_at_a_time() -> None:
    replaced = patched(operation("replace", "Patient.deceased", value=("DateTime", "2020")))
    assert replaced["deceasedDateTime"] == "2020"
    assert "deceasedBoolean" not in replaced
    with pytest.raises(PatchError, match="`deceased` exists and does not repeat"):
        patched(operation("add", "Patient", name=("String", "deceased"), value=("DateTime", "2020")))
    with pytest.raises(PatchError, match="`deceased` takes no Quantity"):
        patched(operation("replace", "Patient.deceased", value=("Quantity", {"value": 1})))


def test_inserting_at_0_begins_a_list() -> None:
    insert = operation(
        "insert", "Patient.telecom", index=("Integer", 0), value=("ContactPoint", {"value": "1"})
    )
    assert patched(insert)["telecom"] == [{"value": "1"}]


def test_what_a_deletion_leaves_empty_goes_with_it() -> None:
    assert "contact" not in patched(operation("delete", "Patient.contact.gender"))
    assert [name.get("use") for name in patched(operation("delete", "Patient.name[1].given[0]"))["name"]] == [
        None,
        "usual",
    ]


def test_deleting_nothing_is_no_error() -> None:
    assert patched(operation("delete", "Patient.photo")) == PATIENT


def test_an_element_without_type_name_is_added_by_its_parts() -> None:
    value = [
        {"name": "gender", "valueCode": "female"},
        {"name": "telecom", "valueContactPoint": {"value": "1"}},
        {"name": "telecom", "valueContactPoint": {"value": "2"}},
        {"name": "period", "valuePeriod": {"start": "2020"}},
    ]
    result = patched(operation("add", "Patient", name=("String", "contact"), value=value))
    assert result["contact"][1] == {
        "gender": "female",
        "telecom": [{"value": "1"}, {"value": "2"}],
        "period": {"start": "2020"},
    }


def test_operations_see_what_those_before_them_did_and_a_failure_undoes_all() -> None:
    first = operation("add", "Patient", name=("String", "gender"), value=("Code", "female"))
    second = operation("replace", "Patient.gender", value=("Code", "other"))
    assert patched(first, second)["gender"] == "other"
    with pytest.raises(PatchError) as raised:
        patched(first, operation("replace", "Patient.photo", value=("Code", "x")))
    assert raised.value.message == "Operation 1 (`replace` at `Patient.photo`): the path leads to no element"
    assert raised.value.expression == "Parameters.parameter[1]"
    assert raised.value.status == 422


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (operation("replace", "Patient.name.given", value=("String", "x")), "the path leads to 4 elements"),
        (operation("delete", "Patient.name"), "the path leads to 2 elements"),
        (operation("delete", "Patient"), "the resource itself cannot be deleted"),
        (operation("replace", "Patient", value=("String", "x")), "the resource itself cannot be replaced"),
        (
            operation("add", "Patient", name=("String", "nosuch"), value=("String", "x")),
            "`nosuch` is no element",
        ),
        (
            operation("add", "Patient", name=("String", "birthDate"), value=("Date", "2000")),
            "does not repeat",
        ),
        (
            operation("add", "Patient.name[0]", name=("String", "period"), value=("Code", "x")),
            "is a Period, not",
        ),
        (
            operation("insert", "Patient.name.given", index=("Integer", 0), value=("String", "x")),
            "not of one list",
        ),
        (
            operation("insert", "Patient.name", index=("Integer", 3), value=("HumanName", {})),
            "beyond the list of 2",
        ),
        (operation("insert", "Patient.gender", index=("Integer", 0), value=("Code", "x")), "does not repeat"),
        (
            operation("move", "Patient.name", source=("Integer", 0), destination=("Integer", 2)),
            "beyond the list",
        ),
        (
            operation("move", "Patient.birthDate", source=("Integer", 0), destination=("Integer", 0)),
            "not of one list",
        ),
        (operation("delete", "%resource.name[0]"), ""),
        (operation("delete", "name.first() | contact"), "the path leads to 2 elements"),
    ],
)
def test_an_operation_that_cannot_be_done_says_why(change: JsonObject, message: str) -> None:
    if not message:
        assert len(patched(change)["name"]) == 1
        return
    with pytest.raises(PatchError) as raised:
        patched(change)
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "A FHIRPath Patch is a Parameters resource"),
        ({"resourceType": "Patient"}, "A FHIRPath Patch is a Parameters resource"),
        (parameters({"name": "other"}), "has the name `operation`"),
        (parameters(operation("rename", "Patient.id")), "The type of an operation is one of"),
        (parameters(operation("add", "Patient", value=("String", "x"))), "The part `name` is missing"),
        (parameters(operation("replace", "Patient.id")), "`replace` needs a part `value`"),
        (
            parameters(operation("insert", "Patient.name", value=("HumanName", {}))),
            "The part `index` is missing",
        ),
        (
            parameters({"name": "operation", "part": [{"name": "type", "valueCode": "delete"}]}),
            "`path` is missing",
        ),
    ],
)
def test_a_body_that_is_no_patch_is_refused(body: Any, message: str) -> None:
    with pytest.raises(PatchSyntaxError) as raised:
        apply_fhirpath_patch(PATIENT, body)
    assert message in raised.value.message
    assert raised.value.status == 400


def test_a_path_that_is_no_fhirpath_or_fails_is_refused_with_its_operation() -> None:
    with pytest.raises(FhirPathSyntaxError):
        patched(operation("delete", "Patient..name"))
    with pytest.raises(FhirPathError, match=r"^Operation 0 \(`delete` at `Patient.name.single\(\)`\): "):
        patched(operation("delete", "Patient.name.single()"))


_lists = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=6)


@given(_lists, st.data())
def test_inserting_and_deleting_again_restores_the_list(values: list[str], data: st.DataObject) -> None:
    resource = {"resourceType": "Patient", "name": [{"given": values}]}
    index = data.draw(st.integers(0, len(values)))
    insert = operation("insert", "Patient.name.given", index=("Integer", index), value=("String", "new"))
    there = patched(insert, resource=resource)
    assert there["name"][0]["given"] == [*values[:index], "new", *values[index:]]
    assert patched(operation("delete", f"Patient.name.given[{index}]"), resource=there) == resource


@given(_lists, st.data())
def test_moving_there_and_back_restores_the_list(values: list[str], data: st.DataObject) -> None:
    resource = {"resourceType": "Patient", "name": [{"given": values}]}
    places = st.integers(0, len(values) - 1)
    source, destination = data.draw(places), data.draw(places)
    expected = [*values]
    expected.insert(destination, expected.pop(source))
    path = "Patient.name.given"
    there = patched(
        operation("move", path, source=("Integer", source), destination=("Integer", destination)),
        resource=resource,
    )
    assert there["name"][0]["given"] == expected
    back = operation("move", path, source=("Integer", destination), destination=("Integer", source))
    assert patched(back, resource=there) == resource


_paths = st.sampled_from(
    [
        *("Patient", "Patient.name", "Patient.name[0]", "Patient.name.given[0]", "Patient.birthDate"),
        *("Patient.deceased", "Patient.contact", "Patient.birthDate.extension", "Patient.photo"),
        *("name.first()", "1", "'x'", "%context"),
    ]
)
_values = st.sampled_from(
    [
        *(
            ("String", "x"),
            ("Date", "2000"),
            ("HumanName", {"family": "x"}),
            ("Boolean", True),
            ("Quantity", {}),
        ),
        *(("Extension", {"url": "x"}), ("String", None), ("HumanName", [])),
    ]
)


@given(
    st.lists(
        st.builds(
            lambda kind, path, name, value, index: operation(
                kind,
                path,
                name=("String", name),
                value=value,
                index=("Integer", index),
                source=("Integer", index),
                destination=("Integer", 0),
            ),
            st.sampled_from(["add", "insert", "delete", "replace", "move"]),
            _paths,
            st.sampled_from(["name", "given", "extension", "deceased", "birthDate", "contact", "x", "id"]),
            _values,
            st.integers(0, 2),
        ),
        max_size=4,
    )
)
def test_no_patch_raises_anything_but_an_exchange_error(changes: list[JsonObject]) -> None:
    with suppress(ExchangeError):
        assert patched(*changes)["resourceType"] == "Patient"


@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.text(max_size=3),
            st.integers(),
            st.sampled_from(["operation", "type", "path", "add"]),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["name", "part", "parameter", "valueString", "valueCode", "resource", "_valueCode"]
                ),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=15,
    )
)
def test_no_parameters_raise_anything_but_an_exchange_error(body: Json) -> None:
    entries = body if isinstance(body, list) else [body]
    with suppress(ExchangeError):
        patched_as_is = apply_fhirpath_patch(PATIENT, {"resourceType": "Parameters", "parameter": entries})
        assert patched_as_is["resourceType"] == "Patient"
