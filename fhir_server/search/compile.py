"""Conditions to SQL: which index is walked first, and how the others are asked.

Three ways, all without an OFFSET:

- *ordered*: one index range is already newest first; it is read until the page
  is full, each row asked for the other conditions (dense conditions).
- *materialised*: the rarest condition's resources are collected first, then
  asked for the others, then sorted (sparse conditions).
- *walk*: the resources of the type, newest first, each asked for all
  conditions (dense conditions without order, such as a range of dates).

Which one is decided by counting, up to a cap, how many rows each condition has
(`density_probe`). A condition is asked of one resource by a complete index key
(param, hash, seq) or by `rid`; there is no EXISTS around an INTERSECT, which
PostgreSQL plans badly.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.search.conditions import (
    AnyOf,
    Chain,
    Condition,
    Has,
    IdIs,
    LastUpdatedIs,
    Not,
    ReferenceIs,
    TokenIs,
    UriIs,
)
from fhir_server.search.predicates import (
    RowCondition,
    branches_of,
    instant_predicate,
    row_predicate,
    table_of,
)
from fhir_server.search.snapshot import Snapshot
from fhir_server.search.sql import Sql, all_of, any_of, joined

# A condition that has n of N resources costs n to collect, and a walk of N/n for each match of a
# page: up to the square root of (page x N) collecting is cheaper (1,414 of 100,000, 4,472 of a million).
_DENSITY_CAP: Final = (
    "(SELECT greatest(500, sqrt(20 * greatest(reltuples, 0)))::bigint"
    " FROM pg_class WHERE oid = 'resource'::regclass)"
)
# More alternatives than this are collected instead of merged.
_MOST_BRANCHES: Final = 32


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which versions are meant: ``after < seq < before``, visible in `seen`; and the order."""

    after: int | None = None
    before: int | None = None
    seen: Snapshot | None = None
    is_ascending: bool = False

    def predicate(self, row: str) -> list[Sql]:
        """Return the bounds on ``row.seq``."""
        found = []
        if self.after is not None:
            found.append(Sql(f"{row}.seq > %s", (self.after,)))
        if self.before is not None:
            found.append(Sql(f"{row}.seq < %s", (self.before,)))
        # Behind the floor of the snapshot everything was visible.
        if self.seen is not None and (self.before is None or self.before > self.seen.floor + 1):
            found.append(self.seen.seen(f"{row}.seq"))
        return found

    def order(self, row: str) -> str:
        """Return the ORDER BY clause."""
        return f"ORDER BY {row}.seq {'ASC' if self.is_ascending else 'DESC'}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How the conditions of a search are evaluated; `first` is the one to begin with, None for a walk."""

    type_number: int
    conditions: tuple[Condition, ...]
    first: int | None
    is_ordered: bool

    def page(self, bounds: Bounds, limit: int) -> Sql:
        """Return a SELECT of (rid, seq) of the first `limit` matches within `bounds`, in order."""
        tail = Sql("LIMIT %s", (limit,))
        if self.first is None:
            body = self._walk(bounds)
            return joined(" ", [body, Sql(bounds.order("r")), tail])
        if self.is_ordered:
            return self._merged(bounds, limit)
        return joined(" ", [self._collected(bounds), Sql(bounds.order("d")), tail])

    def all(self, bounds: Bounds) -> Sql:
        """Return a SELECT of (rid, seq) of all matches within `bounds`, each once, without order."""
        return self._walk(bounds) if self.first is None else self._collected(bounds)

    def _others(self) -> list[Condition]:
        return [each for at, each in enumerate(self.conditions) if at != self.first]

    def _walk(self, bounds: Bounds) -> Sql:
        where = [
            Sql("r.type = %s AND NOT r.is_deleted", (self.type_number,)),
            *bounds.predicate("r"),
            *(probe(each, "r") for each in self.conditions),
        ]
        return joined(" ", [Sql("SELECT r.rid, r.seq FROM resource r WHERE"), all_of(where)])

    def _collected(self, bounds: Bounds) -> Sql:
        first = None if self.first is None else rows(self.conditions[self.first], self.type_number)
        if first is None:
            return self._walk(bounds)
        # Sorted before the others are asked, so that a page ends the asking.
        within = all_of(bounds.predicate("c"))
        where = all_of(probe(each, "d") for each in self._others())
        return Sql(
            f"SELECT d.rid, d.seq FROM (SELECT DISTINCT ON (c.seq) c.rid, c.seq FROM ({first.text}) AS c"
            f" WHERE {within.text} {bounds.order('c')} OFFSET 0) AS d WHERE {where.text}",
            first.params + within.params + where.params,
        )

    def _merged(self, bounds: Bounds, limit: int) -> Sql:
        condition = self.conditions[self.first or 0]
        assert isinstance(condition, (TokenIs, ReferenceIs, UriIs))  # noqa: S101 - `is_ordered` says so
        rest = [*bounds.predicate("x"), *(probe(each, "x") for each in self._others())]
        table = table_of(condition)
        selects = []
        for branch in branches_of(condition, "x"):
            where = all_of([branch, *rest])
            selects.append(
                Sql(
                    f"SELECT DISTINCT ON (x.seq) x.rid, x.seq FROM {table} x WHERE {where.text}"
                    f" {bounds.order('x')} LIMIT %s",
                    (*where.params, limit),
                )
            )
        if len(selects) == 1:
            return selects[0]
        union = joined(" UNION ALL ", (Sql(f"({each.text})", each.params) for each in selects))
        return Sql(
            f"SELECT DISTINCT ON (u.seq) u.rid, u.seq FROM ({union.text}) AS u {bounds.order('u')} LIMIT %s",
            (*union.params, limit),
        )


def simple_plan(type_number: int, conditions: Sequence[Condition]) -> Plan | None:
    """Return the plan of a search that needs no counting; None when densities decide."""
    given = tuple(conditions)
    for at, condition in enumerate(given):
        if isinstance(condition, IdIs):
            return Plan(type_number, given, at, is_ordered=False)
    if not given or all(rows(each, type_number) is None for each in given):
        return Plan(type_number, given, None, is_ordered=False)
    if len(given) == 1 and _is_ordered(given[0]):
        return Plan(type_number, given, 0, is_ordered=True)
    return None


def density_probe(type_number: int, conditions: Sequence[Condition]) -> tuple[list[int], Sql]:
    """Return positions of conditions, and a SELECT of a cap and of their rows, each counted up to it."""
    positions, counts = [], [Sql(_DENSITY_CAP)]
    for at, condition in enumerate(conditions):
        found = rows(condition, type_number)
        if found is not None:
            positions.append(at)
            counts.append(
                Sql(
                    f"(SELECT count(*) FROM ({found.text} LIMIT {_DENSITY_CAP}) AS n{at})",
                    found.params,
                )
            )
    listed = joined(", ", counts)
    return positions, Sql(f"SELECT {listed.text}", listed.params)


def plan_by_density(
    type_number: int, conditions: Sequence[Condition], positions: Sequence[int], counts: Sequence[int]
) -> Plan:
    """Return the plan for conditions of which those at `positions` have `counts` rows, after the cap."""
    given = tuple(conditions)
    cap, *counted = counts
    fewest, at = min(zip(counted, positions, strict=True))
    if fewest < cap:
        return Plan(type_number, given, at, is_ordered=False)
    for position in positions:
        if _is_ordered(given[position]):
            return Plan(type_number, given, position, is_ordered=True)
    return Plan(type_number, given, None, is_ordered=False)


def rows(condition: Condition, type_number: int) -> Sql | None:  # noqa: PLR0911 - one a kind of condition
    """Return a SELECT of (rid, seq), maybe repeated, of all that satisfy `condition`.

    None where there is no index to collect them from.
    """
    match condition:
        case Not() | LastUpdatedIs():
            return None
        case IdIs():
            return Sql(
                "SELECT r.rid, r.seq FROM resource r WHERE r.type = %s AND r.id = ANY(%s::text[])"
                " AND NOT r.is_deleted",
                (type_number, list(condition.ids)),
            )
        case AnyOf():
            parts = [rows(each, type_number) for each in condition.conditions]
            known = [part for part in parts if part is not None]
            return joined(" UNION ALL ", known) if len(known) == len(parts) else None
        case Chain():
            inner = rows(condition.condition, condition.target)
            if inner is None:
                return None
            return Sql(
                f"SELECT y.rid, y.seq FROM ({inner.text}) AS i"
                " JOIN resource t ON t.rid = i.rid AND t.type = %s"
                " JOIN ix_reference y ON y.param = %s AND y.target_hash = t.key_hash",
                (*inner.params, condition.target, condition.param),
            )
        case Has():
            inner = rows(condition.condition, condition.source)
            if inner is None:
                return None
            return Sql(
                f"SELECT t.rid, t.seq FROM ({inner.text}) AS i"
                " JOIN ix_reference y ON y.rid = i.rid AND y.param = %s"
                " JOIN resource t ON t.key_hash = y.target_hash AND t.type = %s AND NOT t.is_deleted",
                (*inner.params, condition.param, condition.own),
            )
        case _:
            where = row_predicate(condition, "x")
            return Sql(f"SELECT x.rid, x.seq FROM {table_of(condition)} x WHERE {where.text}", where.params)


def probe(condition: Condition, of: str, depth: int = 0) -> Sql:  # noqa: PLR0911 - one a kind of condition
    """Return whether `condition` holds for the resource version (rid, seq) under the alias `of`."""
    row, target = f"y{depth}", f"t{depth}"
    match condition:
        case Not():
            inner = probe(condition.condition, of, depth)
            return Sql(f"NOT {inner.text}", inner.params)
        case AnyOf():
            return any_of(probe(each, of, depth) for each in condition.conditions)
        case IdIs():
            return _of_resource(of, row, Sql(f"{row}.id = ANY(%s::text[])", (list(condition.ids),)))
        case LastUpdatedIs():
            either = any_of(instant_predicate(each, f"{row}.last_updated") for each in condition.values)
            return _of_resource(of, row, either)
        case Chain():
            inner = probe(condition.condition, target, depth + 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM ix_reference {row} JOIN resource {target}"
                f" ON {target}.key_hash = {row}.target_hash AND {target}.type = %s"
                f" AND NOT {target}.is_deleted"
                f" WHERE {row}.rid = {of}.rid AND {row}.param = %s AND {inner.text})",
                (condition.target, condition.param, *inner.params),
            )
        case Has():
            inner = probe(condition.condition, row, depth + 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM resource {target} JOIN ix_reference {row}"
                f" ON {row}.param = %s AND {row}.target_hash = {target}.key_hash"
                f" WHERE {target}.rid = {of}.rid AND {inner.text})",
                (condition.param, *inner.params),
            )
        case _:
            return _of_row(condition, of, row)


def _of_row(condition: RowCondition, of: str, row: str) -> Sql:
    where = row_predicate(condition, row)
    by = "seq" if _is_ordered(condition) else "rid"
    # OFFSET 0 keeps the planner from turning the question into a join over all rows.
    return Sql(
        f"EXISTS (SELECT 1 FROM {table_of(condition)} {row}"
        f" WHERE {row}.{by} = {of}.{by} AND {where.text} OFFSET 0)",
        where.params,
    )


def _of_resource(of: str, row: str, where: Sql) -> Sql:
    return Sql(
        f"EXISTS (SELECT 1 FROM resource {row} WHERE {row}.rid = {of}.rid AND {where.text} OFFSET 0)",
        where.params,
    )


def _is_ordered(condition: Condition) -> bool:
    if not isinstance(condition, (TokenIs, ReferenceIs, UriIs)):
        return False
    return 0 < len(branches_of(condition, "x")) <= _MOST_BRANCHES
