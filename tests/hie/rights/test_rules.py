"""The states of requests and the names of elements, as algebra."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.access import Role
from hie.core.errors import ConflictError, ParameterValueError
from hie.core.fhir.json import JsonObject
from hie.rights import rules
from hie.rights.elements import leaves, value_at, with_value
from hie.rights.grounds import ground_of, grounds_of, load_grounds
from hie.rights.rules import Action, Done, Kind, State

PATIENT: JsonObject = {
    "resourceType": "Patient",
    "id": "x",
    "meta": {"versionId": "1"},
    "active": True,
    "name": [{"family": "示例", "given": ["一", "二"]}],
    "birthDate": "1980-05-01",
    "multipleBirthInteger": 2,
    "contact": [{"name": {"text": "某人"}}],
}


@given(st.sampled_from(Kind), st.lists(st.sampled_from(Action), max_size=8))
def test_whatever_is_tried_a_request_ends_once_and_for_all(kind: Kind, actions: list[Action]) -> None:
    done = Done(kind, State.REQUESTED)
    ended: State | None = None
    for action in actions:
        try:
            state = rules.following(done, action)
        except ConflictError:
            assert action not in rules.possible(done)
            continue
        assert action in rules.possible(done)
        done = Done(kind, state, done.has_statement or action is Action.DISAGREE)
        if ended is not None:
            assert (state, action) == (ended, Action.DISAGREE)
        if not state.is_open:
            ended = state


@given(kind=st.sampled_from(Kind), state=st.sampled_from(State), has_statement=st.booleans())
def test_nothing_begins_twice_and_no_copy_is_completed_by_hand(
    kind: Kind, state: State, *, has_statement: bool
) -> None:
    found = rules.possible(Done(kind, state, has_statement))
    assert Action.REQUEST not in found
    assert kind is not Kind.COPY or Action.COMPLETE not in found
    assert not has_statement or Action.DISAGREE not in found


def test_what_is_answered_is_never_overdue() -> None:
    made = datetime(2026, 3, 4, tzinfo=UTC)
    due = rules.due(made, 15)
    late = due + timedelta(seconds=1)
    assert [state for state in State if rules.is_overdue(state, due, late)] == [
        State.REQUESTED,
        State.ACCEPTED,
    ]
    assert not rules.is_overdue(State.REQUESTED, due, due)


def test_the_card_desk_answers_no_erasure_and_nobody_else_anything() -> None:
    assert {each for each in Kind if rules.may_work(each, frozenset({Role.CARD_DESK}))} == {
        Kind.COPY,
        Kind.CORRECTION,
    }
    others = frozenset(Role) - {Role.CARD_DESK, Role.SECURITY_OFFICER}
    assert not any(rules.may_work(each, others) for each in Kind)


def test_every_kind_can_be_refused_and_every_ground_names_its_article() -> None:
    assert all(grounds_of(kind) for kind in Kind)
    assert all(each.source and each.zh and each.en for each in load_grounds().values())
    with pytest.raises(ParameterValueError, match="is no ground to refuse a copy"):
        ground_of("retention-inpatient", Kind.COPY)


def test_leaves_name_every_single_value_but_those_of_the_server() -> None:
    assert leaves(PATIENT) == [
        ("active", "true"),
        ("name[0].family", "示例"),
        ("name[0].given[0]", "一"),
        ("name[0].given[1]", "二"),
        ("birthDate", "1980-05-01"),
        ("multipleBirthInteger", "2"),
        ("contact[0].name.text", "某人"),
    ]
    assert len(leaves(PATIENT, most=2)) == 2


@given(st.sampled_from(leaves(PATIENT)), st.text(min_size=1, max_size=20))
def test_a_value_that_was_set_is_the_value_and_all_others_stay(leaf: tuple[str, str], text: str) -> None:
    path = leaf[0]
    wished = {"active": "false", "multipleBirthInteger": "3"}.get(path, text)
    changed = with_value(PATIENT, path, wished)
    assert value_at(changed, path) == wished
    assert [each for each in leaves(changed) if each[0] != path] == [
        each for each in leaves(PATIENT) if each[0] != path
    ]
    assert value_at(PATIENT, path) == leaf[1]


@pytest.mark.parametrize("path", [path for path, _ in leaves(PATIENT)])
def test_a_value_is_taken_away_and_supplemented(path: str) -> None:
    taken = with_value(PATIENT, path, "")
    if path != "name[0].given[0]":  # behind it another moves up
        assert value_at(taken, path) == ""
    assert with_value(taken, "gender", "female")["gender"] == "female"


def test_types_of_values_are_those_of_r4() -> None:
    observation: JsonObject = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("1.10")}}
    assert value_at(observation, "valueQuantity.value") == "1.10"
    assert with_value(observation, "valueQuantity.value", "2.50")["valueQuantity"]["value"] == Decimal("2.50")
    for text in ("NaN", "Infinity", "1,5", "0x10", "1" * 40):
        with pytest.raises(ParameterValueError, match="no decimal"):
            with_value(observation, "valueQuantity.value", text)
