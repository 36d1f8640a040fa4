"""Which condition a search begins with, and how: by counting, remembered for a while.

A condition that few satisfy is collected; where all have many, newest first is best, since a page is
soon full. Counting far costs more than most searches, so it comes last:

1. Of each condition a few rows are counted (`FIRST`). Where that is all there are, it is collected.
   For a condition whose index is newest first, the place of its oldest counted row says how rare it
   is, so that the rarest is known however many there are.
2. A look ahead: do enough of the newest candidates match that a walk soon has a page?
3. The conditions are counted as far as collecting them is cheaper than a walk (`Densities.cap`).
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.compile import Bounds, Plan
from fhir_server.search.conditions import AnyOf, Combination, CompositeIs, Condition, IdIs, TokenValue
from fhir_server.search.densities import FIRST, Densities
from fhir_server.search.probe import branches, is_collectable, is_newest_first, probe
from fhir_server.search.sql import Sql, all_of

# A look at one candidate takes as long as counting twenty rows: a quarter of what would be counted is spent
# on looking. Where so many of them match, a page of 20 is soon full.
_ROWS_OF_A_LOOK: Final = 64
_FEWEST_LOOKS: Final = 64
_ENOUGH: Final = 4
_ANY: Final = TokenValue(None, None)


def choose(
    connection: Connection[tuple[Any, ...]],
    type_number: int,
    conditions: Sequence[Condition],
    densities: Densities,
    *,
    is_whole: bool = False,
) -> Plan:
    """Return how to evaluate `conditions`; `is_whole` says that all matches are wanted, or sorted."""
    given = tuple(conditions)
    simple = _simple(type_number, given)
    if simple is not None and not (is_whole and simple.is_ordered):
        return simple
    counts = densities.counts(connection, type_number, given)
    if min(counts.values()) < FIRST:
        return by_density(type_number, given, counts, FIRST)
    cap = densities.cap(connection, type_number)
    if not is_whole and not all(is_newest_first(given[at]) for at in counts):
        dense = by_density(type_number, given, counts, FIRST)
        matches = densities.count(
            connection,
            (type_number, given),
            lambda: look_ahead(dense, max(cap // _ROWS_OF_A_LOOK, _FEWEST_LOOKS)),
            depends_on_values=dense.depends_on_values,
        )
        if matches >= _ENOUGH:
            return dense
    return by_density(type_number, given, densities.counts(connection, type_number, given, cap), cap)


def by_density(
    type_number: int, conditions: tuple[Condition, ...], counts: Mapping[int, int], cap: int
) -> Plan:
    """Return the plan for conditions of which those at the positions in `counts` have so many rows.

    From `cap` on a number says only that there are at least as many.
    """
    fewest, at = min((count, position) for position, count in counts.items())
    is_dense = fewest >= cap
    if not is_dense:
        is_ordered = is_newest_first(conditions[at])
        return Plan(type_number, conditions, at, is_ordered=is_ordered, is_dense=False)
    ranges = [(count, position) for position, count in counts.items() if branches(conditions[position])]
    if not ranges:
        return Plan(type_number, conditions, None, is_ordered=False, is_dense=True)
    _, first = min(ranges)
    if not is_newest_first(conditions[first]):
        conditions = (*conditions, _of_key(conditions[first]))
        first = len(conditions) - 1
    return Plan(type_number, conditions, first, is_ordered=True, is_dense=True)


def look_ahead(plan: Plan, candidates: int) -> Sql:
    """Return a SELECT of how many of the newest `candidates` of a walk match, up to _ENOUGH."""
    walked = () if plan.first is None else (plan.conditions[plan.first],)
    found = replace(plan, conditions=walked, first=0 if walked else None).page(Bounds(), candidates)
    where = all_of(probe(each, "d") for at, each in enumerate(plan.conditions) if at != plan.first)
    return Sql(
        f"SELECT count(*) FROM (SELECT 1 FROM ({found.text}) AS d WHERE {where.text} LIMIT {_ENOUGH:d}) AS n",
        found.params + where.params,
    )


def _simple(type_number: int, conditions: tuple[Condition, ...]) -> Plan | None:
    """Return the plan of a search that needs no counting; None when densities decide."""
    if len(conditions) == 1 and is_newest_first(conditions[0]):
        return Plan(type_number, conditions, 0, is_ordered=True, is_dense=True)
    for at, condition in enumerate(conditions):
        if isinstance(condition, IdIs):
            return Plan(type_number, conditions, at, is_ordered=False, is_dense=False)
    if not any(is_collectable(each) for each in conditions):
        return Plan(type_number, conditions, None, is_ordered=False, is_dense=True)
    return None


def _of_key(condition: Condition) -> Condition:
    """Return what the key of a composite says, without the ranges: an index has that newest first."""
    if isinstance(condition, AnyOf):
        return AnyOf(tuple(_of_key(each) for each in condition.conditions))
    if not isinstance(condition, CompositeIs):
        return condition
    return replace(condition, values=tuple(Combination(each.key_hash, _ANY) for each in condition.values))
