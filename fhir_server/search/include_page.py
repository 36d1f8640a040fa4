"""Pages of what comes along, when more comes along than a page holds.

The matches are shown once; the `next` links that follow show the rest of what
they bring along, in the order of rows, newest row first, and then lead on to the
next matches. Only rows are gathered before a page is read: resources of any
number cost a page its own bodies.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.include import (
    FORWARD,
    REVERSE,
    Reach,
    include_values,
    readable_predicate,
    with_contained,
)
from fhir_server.search.match import COLUMNS, Match, execute, matches_of
from fhir_server.search.query import Include, Readable
from fhir_server.search.sql import Sql

# More rows than this are not gathered for one page of matches; what is missing is said.
MOST_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True)
class IncludedPage:
    """Resources that come along; `after` is the row behind which the rest follows, None at the end."""

    resources: tuple[Match, ...]
    after: int | None
    is_complete: bool


def read_included_page(
    connection: Connection[tuple[Any, ...]],
    start: Sequence[int],
    includes: Sequence[Include],
    reach: Reach,
    readable: Readable | None,
    after: int | None,
) -> IncludedPage:
    """Return the `reach.limit` resources that come along with the rows `start`, behind the row `after`."""
    found, is_complete = _gather(connection, start, includes, readable, reach.depth)
    behind = sorted((rid for rid in found if after is None or rid < after), reverse=True)
    shown = behind[: reach.limit]
    wanted = Sql(
        f"SELECT {COLUMNS} FROM resource r WHERE r.rid = ANY(%s::bigint[]) AND NOT r.is_deleted"
        " ORDER BY r.rid DESC",
        (shown,),
    )
    rows = execute(connection, wanted)
    return IncludedPage(
        matches_of(connection, rows), shown[-1] if len(behind) > reach.limit else None, is_complete
    )


def _gather(
    connection: Connection[tuple[Any, ...]],
    start: Sequence[int],
    includes: Sequence[Include],
    readable: Readable | None,
    depth: int,
) -> tuple[set[int], bool]:
    """Return the rows that come along with `start`, and whether these are all."""
    known, fresh = set(start), with_contained(connection, start, includes)
    hops = 0
    while fresh and (not hops or any(each.is_iterated for each in includes)):
        if hops > depth:
            return known - set(start), False
        added: list[int] = []
        for include in includes:
            if hops and not include.is_iterated:
                continue
            room = MOST_ROWS - len(known) + 1
            more = _rows(connection, include, fresh, known, room, readable)
            added += more
            known.update(more)
            if len(more) == room:
                return known - set(start), False
        fresh = added
        hops += 1
    return known - set(start), True


def _rows(
    connection: Connection[tuple[Any, ...]],
    include: Include,
    start: Sequence[int],
    known: set[int],
    limit: int,
    readable: Readable | None,
) -> list[int]:
    shown = Sql("true") if readable is None else readable_predicate(include, readable)
    text = (REVERSE if include.is_reverse else FORWARD).format(columns="r.rid", readable=shown.text)
    values = (*include_values(include, start, known), *shown.params, limit)
    return [row[0] for row in connection.execute(text, values)]
