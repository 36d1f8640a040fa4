"""Searches with `_contained`: which containers have a contained resource that matches.

https://hl7.org/fhir/R4/search.html#contained. Matches are collected from the rows of contained
resources and then led to their containers, which must be readable; what is asked of a contained
resource is never asked of its container.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import type_number
from fhir_server.search.compile import Bounds, Plan, SystemPlan
from fhir_server.search.conditions import AnyOf, Condition
from fhir_server.search.contained_predicates import SOURCE
from fhir_server.search.densities import Densities
from fhir_server.search.probe import depends_on_values, probe, rows
from fhir_server.search.query import Query, Readable
from fhir_server.search.sql import Sql, all_of, any_of, joined

# One look into the index for each type of container that there is.
_CONTAINER_TYPES: Final = """
WITH RECURSIVE found (type) AS (
    (SELECT container_type FROM contained WHERE type = %(type)s ORDER BY container_type LIMIT 1)
    UNION ALL
    SELECT (SELECT c.container_type FROM contained c
            WHERE c.type = %(type)s AND c.container_type > found.type ORDER BY c.container_type LIMIT 1)
    FROM found WHERE found.type IS NOT NULL
) SELECT type FROM found WHERE type IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Sought:
    """Contained resources of a type for which `conditions` hold, in readable containers.

    `first` is the position of the condition whose rows are collected, None for all of the type;
    `containers` the types of what contains such resources, by number; `readable` is a predicate
    over a container, the row "r" of `resource`.
    """

    type_number: int
    conditions: tuple[Condition, ...]
    first: int | None
    containers: tuple[int, ...]
    readable: Sql

    def matches(self, more: Sql = Sql("true")) -> Sql:  # noqa: B008 - it is immutable
        """Return a SELECT of (rid, container, seq), the last that of the container, of what matches.

        `more` narrows the containers, the row "r" of `resource`.
        """
        others = [each for at, each in enumerate(self.conditions) if at != self.first]
        where = all_of([Sql("c.type = %s", (self.type_number,)), *(probe(each, "c") for each in others)])
        source = Sql(f"{SOURCE} c")
        if self.first is not None:
            first = rows(self.conditions[self.first], self.type_number)
            assert first is not None  # noqa: S101 - what `sought` chose can be collected
            source = Sql(
                f"(SELECT DISTINCT f.rid FROM ({first.text}) AS f) AS f JOIN {SOURCE} c ON c.rid = f.rid",
                first.params,
            )
        found = all_of([where, Sql("NOT r.is_deleted"), self.readable, more])
        return Sql(
            f"SELECT c.rid, r.rid AS container, r.seq FROM {source.text}"
            f" JOIN resource r ON r.rid = c.container WHERE {found.text}",
            (*source.params, *found.params),
        )


@dataclass(frozen=True, slots=True)
class ContainedPlan(SystemPlan):
    """How a search with `_contained` is evaluated: resources by `plans`, containers by `sought`."""

    sought: tuple[Sought, ...] = ()

    @property
    def depends_on_values(self) -> bool:
        """Whether PostgreSQL has to know the values to plan well."""
        return any(each.depends_on_values for each in self.plans) or any(
            depends_on_values(condition) for each in self.sought for condition in each.conditions
        )

    @property
    def type_numbers(self) -> tuple[int, ...]:
        """The types of resources that may match, and of containers."""
        own = (each.type_number for each in self.plans)
        return tuple(sorted({*own, *(number for each in self.sought for number in each.containers)}))

    def page(self, bounds: Bounds, limit: int) -> Sql:
        """Return a SELECT of (rid, seq) of the first `limit` resources within `bounds`, in order."""
        union = _united([*(each.page(bounds, limit) for each in self.plans), *self._containers(bounds)])
        return Sql(
            f"SELECT DISTINCT ON (u.seq) u.rid, u.seq FROM ({union.text}) AS u (rid, seq)"
            f" {bounds.order('u')} LIMIT {limit:d}",
            union.params,
        )

    def all(self, bounds: Bounds) -> Sql:
        """Return a SELECT of (rid, seq) of all within `bounds`, each once, without order."""
        union = _united([*(each.all(bounds) for each in self.plans), *self._containers(bounds)])
        return Sql(f"SELECT DISTINCT u.rid, u.seq FROM ({union.text}) AS u (rid, seq)", union.params)

    def _containers(self, bounds: Bounds) -> list[Sql]:
        within = all_of(bounds.predicate("r"))
        found = [each.matches(within) for each in self.sought]
        return [Sql(f"SELECT m.container, m.seq FROM ({each.text}) AS m", each.params) for each in found]

    def entries(self, rids: Sequence[int] | None = None) -> Sql:
        """Return a SELECT of (rid, container) of contained resources that match; of others both are equal.

        With `rids` only those in, or of, these resources.
        """
        within = Sql("true") if rids is None else Sql("r.rid = ANY(%s::bigint[])", (list(rids),))
        parts = [each.matches(within) for each in self.sought]
        found = [Sql(f"SELECT m.rid, m.container FROM ({each.text}) AS m", each.params) for each in parts]
        for plan in self.plans:
            if rids is None:
                own = plan.all(Bounds())
                found.append(Sql(f"SELECT o.rid, o.rid FROM ({own.text}) AS o (rid, seq)", own.params))
                continue
            live = Sql("r.type = %s AND NOT r.is_deleted", (plan.type_number,))
            wanted = all_of([live, within, *(probe(each, "r") for each in plan.conditions)])
            found.append(Sql(f"SELECT r.rid, r.rid FROM resource r WHERE {wanted.text}", wanted.params))
        return _united(found)


@dataclass(frozen=True, slots=True)
class EntriesPlan(ContainedPlan):
    """The same where contained resources themselves are wanted (``_containedType=contained``)."""

    def all(self, bounds: Bounds) -> Sql:  # noqa: ARG002 - for their number, which has no bounds
        """Return a SELECT of a row for each contained resource that matches."""
        return self.entries()

    @property
    def containers(self) -> ContainedPlan:
        """Of the containers."""
        return ContainedPlan(self.plans, self.sought)


def contained_plan(
    connection: Connection[tuple[Any, ...]],
    queries: Sequence[Query],
    plans: tuple[Plan, ...],
    densities: Densities,
) -> ContainedPlan:
    """Return how `queries`, one a type, are evaluated together; `plans` find resources of their own."""
    sought = tuple(_sought(connection, each, densities) for each in queries)
    is_alone = queries[0].contained_type == "contained"
    return EntriesPlan(plans, sought) if is_alone else ContainedPlan(plans, sought)


def _sought(connection: Connection[tuple[Any, ...]], query: Query, densities: Densities) -> Sought:
    number, conditions, readable = type_number(query.resource_type) or 0, query.inside, query.container
    collectable = [at for at, each in enumerate(conditions) if rows(each, number) is not None]
    first = collectable[0] if collectable else None
    if len(collectable) > 1:
        counts = densities.counts(connection, number, conditions)
        first = min(counts, key=lambda at: (counts[at], at))
    containers = tuple(row[0] for row in connection.execute(_CONTAINER_TYPES, {"type": number}))
    shown = Sql("true") if readable is None else _readable(containers, readable)
    return Sought(number, conditions, first, containers, shown)


def _readable(type_numbers: Sequence[int], readable: Readable) -> Sql:
    free: list[int] = []
    parts: list[Sql] = []
    for number in type_numbers:
        condition = readable(R4_RESOURCE_TYPES[number - 1])
        if condition is None:
            free.append(number)
        elif condition != AnyOf(()):
            inner = probe(condition, "r")
            parts.append(Sql(f"(r.type = %s AND {inner.text})", (number, *inner.params)))
    return any_of([Sql("r.type = ANY(%s::smallint[])", (free,)), *parts])


def _united(parts: Sequence[Sql]) -> Sql:
    if not parts:
        return Sql("SELECT 0::bigint AS rid, 0::bigint AS seq WHERE false")
    return joined(" UNION ALL ", [Sql(f"({each.text})", each.params) for each in parts])
