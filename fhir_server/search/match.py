"""A resource that a search found, as it comes from the tables."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import ClientCursor, Connection, Cursor
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.string import ByteaBinaryLoader

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.search.cursor import AnyCursor
from fhir_server.search.sql import Sql

# What `match_of` reads, of the resource `r`. As varchar, which costs PostgreSQL nothing, `execute` can tell a
# body from other texts and leave it as bytes.
COLUMNS: Final = "r.rid, r.id, r.version, r.last_updated, r.body::varchar, r.type"
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


def match_of(row: tuple[Any, ...]) -> Match:
    """Return the match that the first columns of `row` hold."""
    rid, identifier, version, last_updated, body, number = row[:WIDTH]
    # What a call of the class does, without the Python function in between.
    return _new(Match, (rid, R4_RESOURCE_TYPES[number - 1], identifier, version, last_updated, body, ""))


def execute(
    connection: Connection[tuple[Any, ...]], statement: Sql, *, depends_on_values: bool = False
) -> list[tuple[Any, ...]]:
    """Return the rows of `statement`; a varchar is its bytes.

    With `depends_on_values` it is planned for them even where the connection keeps plans for any values.
    """
    if depends_on_values:
        # What a client binds itself is planned each time (Python's quoting is psycopg's).
        cursor: Cursor[tuple[Any, ...]] = ClientCursor(connection)
        cursor.adapters.register_loader("varchar", _BytesLoader)
        return cursor.execute(statement.text, statement.params).fetchall()
    # Kept with the connection, which one thread uses at a time: making one takes 20 µs of 60.
    kept = vars(connection)
    found: Cursor[tuple[Any, ...]] | None = kept.get(_KEPT)
    if found is None:
        found = kept[_KEPT] = connection.cursor(binary=True)
        found.adapters.register_loader("varchar", ByteaBinaryLoader)
    rows = found.execute(statement.text, statement.params).fetchall()
    if len(rows) > _FEW:  # a cursor holds its last result
        del kept[_KEPT]
    return rows


class _BytesLoader(Loader):
    """Leaves a value as it comes."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)
