"""The resources that come with the matches: `_include`, `_revinclude` and `:iterate`.

https://hl7.org/fhir/R4/search.html#revinclude. Only references that resolve to a
current resource of this server bring it along.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from psycopg import Connection

from fhir_server.definitions.search_parameters import type_number
from fhir_server.index.contained import set_apart_numbers
from fhir_server.search.conditions import AnyOf
from fhir_server.search.match import COLUMNS, Match, execute, matches_of
from fhir_server.search.probe import probe
from fhir_server.search.query import Include, Readable
from fhir_server.search.sql import Sql, any_of
from fhir_server.search.values import target_types


class Reach(NamedTuple):
    """How much may come along: `limit` resources on one page, found in at most `depth` steps of `:iterate`.

    A ring or a chain of thousands must not hold a request.
    """

    limit: int
    depth: int


# `columns` of `r` and what is `readable` are put in; values: `include_values`, of `readable`, the limit.
# The references of the resources %s to resources of type %s (null: any), newest first.
FORWARD: Final = """
SELECT DISTINCT ON (r.seq) {columns}
FROM ix_reference y JOIN resource r ON r.key_hash = y.target_hash AND NOT r.is_deleted
WHERE y.rid = ANY(%s::bigint[]) AND y.param = ANY(%s::int[])
  AND (%s::smallint IS NULL OR r.type = %s::smallint)
  AND r.rid <> ALL(%s::bigint[]) AND {readable}
ORDER BY r.seq DESC LIMIT %s
"""
# The resources that refer to the resources %s of type %s (null: any), newest first.
REVERSE: Final = """
SELECT DISTINCT ON (r.seq) {columns}
FROM resource t
JOIN ix_reference y ON y.param = ANY(%s::int[]) AND y.target_hash = t.key_hash
JOIN resource r ON r.rid = y.rid
WHERE t.rid = ANY(%s::bigint[]) AND (%s::smallint IS NULL OR t.type = %s::smallint)
  AND r.rid <> ALL(%s::bigint[]) AND {readable}
ORDER BY r.seq DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Included:
    """Resources that come along; `is_complete` is false when the limit cut them."""

    resources: tuple[Match, ...]
    is_complete: bool


def read_included(
    connection: Connection[tuple[Any, ...]],
    matches: Sequence[Match],
    includes: Sequence[Include],
    reach: Reach,
    readable: Readable | None = None,
) -> Included:
    """Return at most `reach.limit` resources that `includes` bring along with `matches`, each once.

    What `readable` hides is left out, and nothing is included from there.
    """
    found: dict[int, Match] = {}
    known = {match.rid for match in matches}
    fresh = with_contained(connection, list(known), includes)
    hops = 0
    while fresh and (not hops or any(each.is_iterated for each in includes)):
        if hops > reach.depth:
            return Included(tuple(found.values()), is_complete=False)
        added: list[int] = []
        for include in includes:
            if hops and not include.is_iterated:
                continue
            # What one include finds, the next may start from only when it iterates.
            room = reach.limit - len(found) + 1
            for match in _read(connection, include, fresh, known, room, readable):
                if len(found) == reach.limit:
                    return Included(tuple(found.values()), is_complete=False)
                found[match.rid] = match
                known.add(match.rid)
                added.append(match.rid)
        fresh = added
        hops += 1
    return Included(tuple(found.values()), is_complete=True)


def with_contained(
    connection: Connection[tuple[Any, ...]], start: Sequence[int], includes: Sequence[Include]
) -> list[int]:
    """Return the rows `start` and, where `includes` say so, those of the resources contained there."""
    if not any(each.is_inside for each in includes):
        return list(start)
    rows = connection.execute("SELECT rid FROM contained WHERE container = ANY(%s::bigint[])", (list(start),))
    return [*start, *(row[0] for row in rows)]


def include_values(include: Include, start: Sequence[int], known: Collection[int]) -> tuple[object, ...]:
    """Return the values of FORWARD or REVERSE before those of what is readable."""
    params = [each.number for each in include.parameters]
    if include.is_inside:
        params += set_apart_numbers(params)
    target = type_number(include.target) if include.target else None
    first: tuple[object, ...] = (params, list(start)) if include.is_reverse else (list(start), params)
    return (*first, target, target, list(known))


def readable_predicate(include: Include, readable: Readable) -> Sql:
    """Return whether the resource `r`, which `include` brings along, may be read."""
    free: list[int] = []
    parts: list[Sql] = []
    for name in _types_of(include):
        condition, number = readable(name), type_number(name)
        if condition is None and number is not None:
            free.append(number)
        elif condition is not None and condition != AnyOf(()):
            inner = probe(condition, "r")
            parts.append(Sql(f"(r.type = %s AND {inner.text})", (number, *inner.params)))
    return any_of([Sql("r.type = ANY(%s::smallint[])", (free,)), *parts])


def _read(
    connection: Connection[tuple[Any, ...]],
    include: Include,
    start: list[int],
    known: set[int],
    limit: int,
    readable: Readable | None,
) -> list[Match]:
    shown = Sql("true") if readable is None else readable_predicate(include, readable)
    text = (REVERSE if include.is_reverse else FORWARD).format(columns=COLUMNS, readable=shown.text)
    values = (*include_values(include, start, known), *shown.params, limit)
    return list(matches_of(connection, execute(connection, Sql(text, values))))


def _types_of(include: Include) -> tuple[str, ...]:
    """Return the types that `include` may bring along."""
    if include.is_reverse:
        return tuple(dict.fromkeys(each.resource_type for each in include.parameters))
    found = (name for each in include.parameters for name in target_types(each, include.target))
    return tuple(dict.fromkeys(found))
