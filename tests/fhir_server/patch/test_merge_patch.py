"""JSON Merge Patch: the examples of RFC 7396, appendix A, inside a resource, and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.patch.merge_patch import apply_merge_patch
from hie.core.fhir.json import Json
from hie.core.language_errors import PatchError

# https://www.rfc-editor.org/rfc/rfc7396#appendix-A, those whose target and patch are objects
EXAMPLES: list[tuple[Json, Json, Json]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=2), VALUES, max_size=4)


@pytest.mark.parametrize(("target", "patch", "result"), EXAMPLES)
def test_example_of_the_rfc(target: Json, patch: Json, result: Json) -> None:
    assert apply_merge_patch(target, patch) == result


@pytest.mark.parametrize("patch", [[], "text", 1, None, True])
def test_what_is_no_object_is_no_patch_of_a_resource(patch: Json) -> None:
    with pytest.raises(PatchError, match="object"):
        apply_merge_patch({"a": 1}, patch)


@given(OBJECTS, OBJECTS)
def test_a_patch_applied_again_changes_nothing_and_its_target_stays(target: Json, patch: Json) -> None:
    before = repr(target)
    once = apply_merge_patch(target, patch)
    assert apply_merge_patch(once, patch) == once
    assert repr(target) == before


@given(OBJECTS)
def test_an_object_merged_into_nothing_is_itself(patch: Json) -> None:
    assert apply_merge_patch({}, patch) == patch
