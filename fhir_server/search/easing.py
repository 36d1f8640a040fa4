"""An access rule made short for a search in one Patient's record.

Where the search itself says which Patient a reference leads to (``patient=Patient/1``), what the rule asks of
that Patient are facts (`fhir_server.search.facts`), mostly known. With them in place, what is left of
13 kB of conditions is often nothing. What they do not settle stays as it was.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.search.conditions import AllOf, AnyOf, Chain, Condition, Not, ReferenceIs, Restriction
from fhir_server.search.facts import Asking, Facts
from fhir_server.search.query import Query
from fhir_server.search.ruling import Marks
from hie.core.db.database import Transaction
from hie.core.fhir.structure import elements_of

_OF_A_PATIENT: Final = ".where(resolve() is Patient)"

Settles = Callable[[Chain], bool | None]
"""Says whether a chain holds of all that the search may find, or of nothing; None for unknown."""


def eased(
    transaction: Transaction, query: Query, parameters: Mapping[str, SearchParameter], facts: Facts
) -> Query:
    """Return `query` with its rules settled as far as its own conditions allow.

    `parameters` are those of the type that is searched, by code.
    """
    pinned = {
        each.param: each.targets[0]
        for each in query.conditions
        if isinstance(each, ReferenceIs) and len(each.targets) == 1
    }
    if not pinned or not any(isinstance(each, Restriction) for each in query.conditions):
        return query
    known = {each.number: each for each in parameters.values() if each.type == "reference"}
    asking = facts.asking(transaction)
    found = _left(query.conditions, pinned, known, facts, asking)
    if len(found) == len(query.conditions) and asking.has_recalled:
        # A rule stays: not for what was remembered.
        found = _left(query.conditions, pinned, known, facts, facts.asking(transaction, is_recalling=False))
    return replace(query, conditions=tuple(found))


def _left(
    conditions: Iterable[Condition],
    pinned: Mapping[int, int],
    known: Mapping[int, SearchParameter],
    facts: Facts,
    asking: Asking,
) -> list[Condition]:
    """Return `conditions` with what is left of the rules among them."""

    def settles(chain: Chain) -> bool | None:
        target = _target(chain, pinned, known)
        if target is None:
            return None
        rule = facts.ruling(chain.condition, chain.target, has_rows=False)
        if asking.decides(rule, Marks(target)):
            return True
        return False if _is_single(known[chain.param]) else None

    found: list[Condition] = []
    for each in conditions:
        left = settled(each, settles) if isinstance(each, Restriction) else each
        if not isinstance(left, bool):
            found.append(left)
        elif not left:
            found.append(AnyOf(()))
    return found


def settled(condition: Condition, settles: Settles) -> Condition | bool:  # noqa: PLR0911 - a case a kind
    """Return what `settles` leaves of `condition`; the same object where it knows no chain of it."""
    match condition:
        case Restriction():
            left = settled(condition.condition, settles)
            return condition if left is condition.condition else left
        case Chain():
            known = settles(condition)
            return condition if known is None else known
        case Not():
            left = settled(condition.condition, settles)
            if isinstance(left, bool):
                return not left
            return condition if left is condition.condition else Not(left)
        case AllOf():
            return _joined(condition, settles, decisive=False)
        case AnyOf():
            return _joined(condition, settles, decisive=True)
        case _:
            return condition


def _joined(condition: AllOf | AnyOf, settles: Settles, *, decisive: bool) -> Condition | bool:
    """Return what is left of a conjunction or disjunction, which one part that is `decisive` decides."""
    left = []
    for each in condition.conditions:
        part = settled(each, settles)
        if part is decisive:
            return decisive
        if not isinstance(part, bool):
            left.append(part)
    if not left:
        return not decisive
    if len(left) == len(condition.conditions) and all(
        mine is its for mine, its in zip(left, condition.conditions, strict=True)
    ):
        return condition
    return left[0] if len(left) == 1 else type(condition)(tuple(left))


def _target(chain: Chain, pinned: Mapping[int, int], known: Mapping[int, SearchParameter]) -> int | None:
    """Return the hash of what the search says `chain` leads to, None where it does not say it."""
    if chain.param not in known:
        return None
    leading = known[chain.param].expression
    for number, target in pinned.items():
        if number in known and known[number].expression in (leading, leading + _OF_A_PATIENT):
            return target
    return None


def _is_single(parameter: SearchParameter) -> bool:
    """Return whether a resource has one value of `parameter` at most."""
    resource_type, _, name = parameter.expression.removesuffix(_OF_A_PATIENT).partition(".")
    found = elements_of(resource_type).get(name)
    return found is not None and not found[0].is_list
