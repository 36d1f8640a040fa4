"""A resource that a search found, as it comes from the tables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import ClientCursor, Connection, Cursor

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.search.cursor import AnyCursor
from fhir_server.search.sql import Sql
from fhir_server.store.bodies import open_rows
from hie.core.crypto.text_cipher import SEALED

# What `matches_of` reads, of the resource `r`.
COLUMNS: Final = "r.rid, r.id, r.version, r.last_updated, r.body, r.type"
WIDTH: Final = COLUMNS.count(",") + 1
_new = tuple.__new__
_KEPT: Final = "_cursor_of_search"
_FEW: Final = 256


class Match(NamedTuple):
    """One resource that was found; `rid` is its row, `container` "Type/id" of what contains it, or ""."""

    rid: int
    type: str
    id: str
    version: int
    last_updated: datetime
    body: bytes
    container: str = ""


class Page(NamedTuple):
    """Matches in order, and the cursor behind the last when there are more."""

    matches: tuple[Match, ...]
    next: AnyCursor | None


def matches_of(connection: Connection[tuple[Any, ...]], rows: Sequence[tuple[Any, ...]]) -> tuple[Match, ...]:
    """Return the matches that the first columns of `rows` hold."""
    matches: list[Match] = []
    is_sealed = False
    for row in rows:
        rid, identifier, version, last_updated, body, number = row[:WIDTH]
        is_sealed = is_sealed or body[:1] == SEALED
        # What a call of the class does, without the Python function in between.
        found = (rid, R4_RESOURCE_TYPES[number - 1], identifier, version, last_updated, body, "")
        matches.append(_new(Match, found))
    if not is_sealed:
        return tuple(matches)
    rows_of = [(row[5], each.id, each.version, each.body) for row, each in zip(rows, matches, strict=True)]
    bodies = open_rows(connection, rows_of)
    return tuple(each._replace(body=body or b"") for each, body in zip(matches, bodies, strict=True))


def execute(
    connection: Connection[tuple[Any, ...]], statement: Sql, *, depends_on_values: bool = False
) -> list[tuple[Any, ...]]:
    """Return the rows of `statement`.

    With `depends_on_values` it is planned for them even where the connection keeps plans for any values.
    """
    if depends_on_values:
        # What a client binds itself is planned each time (Python's quoting is psycopg's).
        return ClientCursor(connection).execute(statement.text, statement.params).fetchall()
    # Kept with the connection, which one thread uses at a time: making one takes 20 µs of 60.
    kept = vars(connection)
    found: Cursor[tuple[Any, ...]] | None = kept.get(_KEPT)
    if found is None:
        found = kept[_KEPT] = connection.cursor(binary=True)
    rows = found.execute(statement.text, statement.params).fetchall()
    if len(rows) > _FEW:  # a cursor holds its last result
        del kept[_KEPT]
    return rows
