"""Conditions to SQL: which index is walked first, and how the others are asked.

Three ways, all without an OFFSET:

- *ordered*: an index range of the rarest condition is already newest first; it is read until
  the page is full, each row asked for the other conditions.
- *materialised*: the rarest condition's resources are collected first, then sorted, then asked
  for the others until the page is full (sparse conditions without such a range, as of dates).
- *walk*: the resources of the type, newest first, each asked for all conditions (dense ones).

Which one is for `choice` to say. Numbers of rows stand in the text and not among the values: a
plan that is made for any values has to know that a page is short.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.search.conditions import Condition, LastUpdatedIs
from fhir_server.search.probe import branches, depends_on_values, is_dense, probe, rows
from fhir_server.search.snapshot import Snapshot
from fhir_server.search.sql import Sql, all_of, joined

_SKEW_SECONDS: Final = 60


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
    """How the conditions of a search are evaluated; `first` is the one to begin with, None for a walk.

    `is_ordered` says that its range is newest first, `is_dense` that so much matches, as far as is
    known, that collecting it costs more than a walk.
    """

    type_number: int
    conditions: tuple[Condition, ...]
    first: int | None
    is_ordered: bool
    is_dense: bool

    def page(self, bounds: Bounds, limit: int) -> Sql:
        """Return a SELECT of (rid, seq) of the first `limit` matches within `bounds`, in order."""
        tail = Sql(f"LIMIT {limit:d}")
        if self.first is None:
            body = self._walk(bounds)
            return joined(" ", [body, Sql(bounds.order("r")), tail])
        if self.is_ordered:
            return self._merged(bounds, limit)
        return joined(" ", [self._collected(bounds), Sql(bounds.order("d")), tail])

    def all(self, bounds: Bounds) -> Sql:
        """Return a SELECT of (rid, seq) of all matches within `bounds`, each once, without order."""
        return self._walk(bounds) if self.first is None else self._collected(bounds)

    @property
    def depends_on_values(self) -> bool:
        """Whether PostgreSQL has to know the values to plan well."""
        return any(depends_on_values(each) for each in self.conditions)

    @property
    def type_numbers(self) -> tuple[int, ...]:
        """The one type that is searched."""
        return (self.type_number,)

    def _others(self) -> list[Condition]:
        return [each for at, each in enumerate(self.conditions) if at != self.first]

    def _walk(self, bounds: Bounds) -> Sql:
        where = [
            Sql("r.type = %s AND NOT r.is_deleted", (self.type_number,)),
            *bounds.predicate("r"),
            *(bound for each in self.conditions for bound in implied_bounds(each, self.type_number)),
            *(probe(each, "r") for each in self.conditions),
        ]
        return joined(" ", [Sql("SELECT r.rid, r.seq FROM resource r WHERE"), all_of(where)])

    def _collected(self, bounds: Bounds) -> Sql:
        first = None if self.first is None else rows(self.conditions[self.first], self.type_number)
        if first is None:
            return self._walk(bounds)
        if not is_dense(self.conditions[self.first or 0]):
            # Few rows of the range, but maybe many of its key: not to be read newest first.
            first = Sql(f"{first.text} OFFSET 0", first.params)
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
        rest = [*bounds.predicate("x"), *(probe(each, "x") for each in self._others())]
        selects = []
        for table, branch in branches(condition):
            where = all_of([branch, *rest])
            selects.append(
                Sql(
                    f"SELECT DISTINCT ON (x.seq) x.rid, x.seq FROM {table} x WHERE {where.text}"
                    f" {bounds.order('x')} LIMIT {limit:d}",
                    where.params,
                )
            )
        if len(selects) == 1:
            return selects[0]
        union = joined(" UNION ALL ", (Sql(f"({each.text})", each.params) for each in selects))
        return Sql(
            f"SELECT DISTINCT ON (u.seq) u.rid, u.seq FROM ({union.text}) AS u {bounds.order('u')}"
            f" LIMIT {limit:d}",
            union.params,
        )


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """How a search of several types is evaluated: by the plan of each."""

    plans: tuple[Plan, ...]

    @property
    def depends_on_values(self) -> bool:
        """Whether PostgreSQL has to know the values to plan well."""
        return any(each.depends_on_values for each in self.plans)

    @property
    def type_numbers(self) -> tuple[int, ...]:
        """The types that are searched."""
        return tuple(each.type_number for each in self.plans)

    def page(self, bounds: Bounds, limit: int) -> Sql:
        """Return a SELECT of (rid, seq) of the first `limit` matches within `bounds`, in order."""
        union = self._union([each.page(bounds, limit) for each in self.plans])
        return Sql(
            f"SELECT u.rid, u.seq FROM ({union.text}) AS u (rid, seq) {bounds.order('u')} LIMIT {limit:d}",
            union.params,
        )

    def all(self, bounds: Bounds) -> Sql:
        """Return a SELECT of (rid, seq) of all matches within `bounds`, each once, without order."""
        return self._union([each.all(bounds) for each in self.plans])

    @staticmethod
    def _union(parts: Sequence[Sql]) -> Sql:
        if not parts:
            return Sql("SELECT 0::bigint AS rid, 0::bigint AS seq WHERE false")
        return joined(" UNION ALL ", [Sql(f"({each.text})", each.params) for each in parts])


def implied_bounds(condition: Condition, type_number: int) -> list[Sql]:
    """Return what `condition` says of ``r.seq``, so that a walk begins where it may hold.

    Versions are numbered before they are stamped with the time: one that was stamped before an
    instant has a smaller number than one that was numbered after it. _SKEW_SECONDS are for the
    clocks of several servers, and for a process that halts between the two.
    """
    if not isinstance(condition, LastUpdatedIs) or len(condition.values) != 1:
        return []
    (value,) = condition.values
    end = {"lt": value.low, "eb": value.low, "le": value.high, "eq": value.high, "ap": value.high}.get(
        value.prefix
    )
    if end is None:
        return []
    return [
        Sql(
            "r.seq <= coalesce((SELECT s.seq FROM resource s WHERE s.type = %s"
            f" AND s.last_updated >= %s::timestamptz + interval '{_SKEW_SECONDS} seconds'"
            " ORDER BY s.last_updated LIMIT 1), 9223372036854775807)",
            (type_number, end),
        )
    ]
