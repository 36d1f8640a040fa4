"""What is left of a rule means what the rule means, whatever is settled beforehand."""

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Chain,
    Condition,
    Not,
    Restriction,
    TokenIs,
    TokenValue,
)
from fhir_server.search.easing import settled
from fhir_server.search.ruling import Fact, Marks, Reader
from fhir_server.search.sql import Sql

_PATIENT = 1
_OWN = 2
_PARAMS = 4

# A condition on the Patient that a reference of each parameter leads to, and labels of the resource itself.
CHAINS = [Chain(param, _PATIENT, TokenIs(param, (TokenValue(1, 1),))) for param in range(_PARAMS)]
TOKENS = [TokenIs(param, (TokenValue(1, 1),)) for param in range(_PARAMS)]
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.sampled_from([*CHAINS, *TOKENS]),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Restriction, inner),
    ),
    max_leaves=12,
)
SUBSETS = st.sets(st.sampled_from(range(_PARAMS)))


def holds(condition: Condition | bool, chains: set[int], tokens: set[int]) -> bool:  # noqa: FBT001 - what is left
    """Return whether `condition` holds where the chains and tokens of these parameters do."""
    match condition:
        case bool():
            return condition
        case Chain():
            return condition.param in chains
        case TokenIs():
            return condition.param in tokens
        case Not() | Restriction():
            inner = holds(condition.condition, chains, tokens)
            return not inner if isinstance(condition, Not) else inner
        case AllOf():
            return all(holds(each, chains, tokens) for each in condition.conditions)
        case AnyOf():
            return any(holds(each, chains, tokens) for each in condition.conditions)
    raise AssertionError(condition)


@given(CONDITIONS, SUBSETS, SUBSETS, SUBSETS)
def test_what_is_left_holds_where_the_whole_does(
    condition: Condition, chains: set[int], tokens: set[int], known: set[int]
) -> None:
    left = settled(condition, lambda chain: chain.param in chains if chain.param in known else None)
    assert holds(left, chains, tokens) == holds(condition, chains, tokens)


@given(CONDITIONS)
def test_nothing_is_made_anew_where_nothing_is_settled(condition: Condition) -> None:
    left = settled(condition, lambda _: None)
    # Only what is empty is settled by itself.
    assert isinstance(left, bool) or left is condition or _has_empty(condition)


def _has_empty(condition: Condition) -> bool:
    match condition:
        case AllOf() | AnyOf():
            return not condition.conditions or any(_has_empty(each) for each in condition.conditions)
        case Not() | Restriction():
            return _has_empty(condition.condition)
        case _:
            return False


class _Told:
    """Knows of which Patients, by key hash, the conditions of `CHAINS` hold: of those with its own number."""

    def __init__(self, existing: set[int], holding: set[int]) -> None:
        self._existing = existing
        self._holding = holding

    def exists(self, type_number: int, key_hash: int) -> bool:
        assert type_number == _PATIENT
        return key_hash in self._existing

    def holds(self, fact: Fact, key_hash: int) -> bool:
        assert key_hash in self._existing
        return fact.probe.params == (key_hash,) and key_hash in self._holding


def _fact(type_number: int, condition: Condition) -> Fact:
    assert isinstance(condition, TokenIs)
    return Fact(type_number, Sql("", (condition.param,)))


@given(CONDITIONS, SUBSETS, SUBSETS, SUBSETS, SUBSETS)
def test_a_ruling_is_the_condition(
    condition: Condition, referred: set[int], tokens: set[int], existing: set[int], holding: set[int]
) -> None:
    ruling = Reader(_OWN, _fact).read(condition)
    # The reference of each parameter leads to the Patient whose key hash is the parameter's number.
    marks = Marks(99, [(param, 1, 1) for param in tokens], [(param, param) for param in referred])
    chains = referred & existing & holding
    assert ruling.holds(marks, _Told(existing, holding)) == holds(condition, chains, tokens)
