"""JSON Patch beyond the cases of RFC 6902: decimals, pointers, refusals that change nothing, limits."""

import copy
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.patch.json_patch import apply_json_patch
from fhir_server.patch.json_pointer import pointer_of, tokens_of
from hie.core.errors import ExchangeError
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.language_errors import PatchError, PatchSyntaxError, PatchTestError

OBSERVATION: JsonObject = loads(
    '{"resourceType":"Observation","valueQuantity":{"value":1.10},"note":[{"text":"a"},{"text":"b"}]}'
)


def test_decimals_keep_their_digits_and_are_tested_by_value() -> None:
    patch = loads(
        '[{"op":"test","path":"/valueQuantity/value","value":1.1},'
        '{"op":"add","path":"/valueQuantity/extra","value":2.500},'
        '{"op":"copy","from":"/valueQuantity/value","path":"/valueQuantity/again"}]'
    )
    result = apply_json_patch(OBSERVATION, patch)
    assert dumps(result["valueQuantity"]) == b'{"value":1.10,"extra":2.500,"again":1.10}'


def test_a_failing_test_undoes_all_and_is_named() -> None:
    before = copy.deepcopy(OBSERVATION)
    patch = [
        {"op": "remove", "path": "/note/0"},
        {"op": "test", "path": "/note/0/text", "value": "a"},
    ]
    with pytest.raises(PatchTestError) as raised:
        apply_json_patch(OBSERVATION, patch)
    assert raised.value.message == "Operation 1 (`test` at `/note/0/text`): the value there is another"
    assert (raised.value.status, raised.value.code) == (422, "processing")
    assert before == OBSERVATION


@pytest.mark.parametrize(
    ("value", "other"), [(True, 1), (1, "1"), (None, False), ([1, 2], [2, 1]), ({"a": 1}, {"a": 1, "b": 2})]
)
def test_values_of_other_types_and_orders_are_not_the_same(value: Json, other: Json) -> None:
    document = {"resourceType": "Basic", "x": value}
    apply_json_patch(document, [{"op": "test", "path": "/x", "value": value}])
    with pytest.raises(PatchTestError):
        apply_json_patch(document, [{"op": "test", "path": "/x", "value": other}])


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "remove", "path": "/note/2"}, PatchError),
        ({"op": "remove", "path": "/note/01"}, PatchError),
        ({"op": "remove", "path": "/note/-"}, PatchError),
        ({"op": "add", "path": "/note/3", "value": 1}, PatchError),
        ({"op": "replace", "path": "/status", "value": "final"}, PatchError),
        ({"op": "remove", "path": ""}, PatchError),
        ({"op": "replace", "path": "", "value": []}, PatchError),
        ({"op": "move", "from": "/valueQuantity", "path": "/valueQuantity/value"}, PatchError),
        ({"op": "test", "path": "/valueQuantity/value/x", "value": 1}, PatchError),
        ({"op": "merge", "path": "/note"}, PatchSyntaxError),
        ({"op": "add", "path": "/status"}, PatchSyntaxError),
        ({"op": "add", "path": "status", "value": 1}, PatchSyntaxError),
        ({"op": "add", "path": "/a~2", "value": 1}, PatchSyntaxError),
        ({"op": "copy", "path": "/a"}, PatchSyntaxError),
        ({"path": "/a"}, PatchSyntaxError),
        ("remove", PatchSyntaxError),
    ],
)
def test_an_operation_that_cannot_be_done_names_itself(operation: Json, kind: type[PatchError]) -> None:
    before = copy.deepcopy(OBSERVATION)
    with pytest.raises(PatchError) as raised:
        apply_json_patch(OBSERVATION, [operation])
    assert type(raised.value) is kind
    assert raised.value.message.startswith("Operation 0") or "leave a resource" in raised.value.message
    assert before == OBSERVATION


@pytest.mark.parametrize("patch", [{}, None, "x", [{"op": "remove", "path": "/note"}] * 10_001])
def test_a_body_that_is_no_patch_is_refused(patch: Json) -> None:
    with pytest.raises(PatchSyntaxError):
        apply_json_patch(OBSERVATION, patch)


def test_copies_of_copies_are_bounded() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(40)]
    with pytest.raises(PatchError, match="copies more than"):
        apply_json_patch(OBSERVATION, doubling)
    path = "/a"
    nesting: list[Json] = [{"op": "add", "path": "/a", "value": {}}]
    for _ in range(12):
        nesting.append({"op": "copy", "from": "/a", "path": path + "/a"})
        path += path
    with pytest.raises(PatchError):
        apply_json_patch(OBSERVATION, nesting * 20)


_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5), st.text("ab~/", max_size=2), st.just(Decimal("1.10"))
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)
_objects = st.dictionaries(st.text("ab~/", max_size=2), _json, max_size=3)


@given(st.lists(st.text("ab~/01", max_size=3), max_size=4))
def test_a_pointer_reads_back_what_it_writes(tokens: list[str]) -> None:
    assert tokens_of(pointer_of(tokens)) == tokens


@given(_objects, _json, st.text("ab~/", max_size=2))
def test_what_is_added_is_there_and_goes_when_it_is_removed(
    document: JsonObject, value: Json, name: str
) -> None:
    path = pointer_of([name])
    added = apply_json_patch(
        document, [{"op": "add", "path": path, "value": value}, {"op": "test", "path": path, "value": value}]
    )
    assert added == {**document, name: value}
    removed = apply_json_patch(added, [{"op": "remove", "path": path}])
    assert removed == {key: inner for key, inner in document.items() if key != name}


@given(_objects, _objects)
def test_replacing_the_whole_document_gives_the_value(document: JsonObject, value: JsonObject) -> None:
    assert apply_json_patch(document, [{"op": "replace", "path": "", "value": value}]) == value


_pointers = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "", "~1"]), max_size=3).map(
    lambda tokens: "".join("/" + token for token in tokens)
)


@given(
    _objects,
    st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
                "path": _pointers,
            },
            optional={"from": _pointers, "value": _json},
        ),
        max_size=5,
    ),
)
def test_no_patch_raises_anything_but_an_exchange_error(document: JsonObject, patch: Json) -> None:
    before = copy.deepcopy(document)
    with suppress(ExchangeError):
        assert isinstance(apply_json_patch(document, patch), dict)
    assert document == before
