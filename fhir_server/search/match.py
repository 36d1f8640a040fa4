"""A resource that a search found, as it comes from the tables."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import ClientCursor, Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.search.cursor import Cursor
from fhir_server.search.sql import Sql

# What `match_of` reads, of the resource `r`.
COLUMNS: Final = "r.rid, r.id, r.version, r.last_updated, r.body, r.type"
WIDTH: Final = COLUMNS.count(",") + 1


@dataclass(frozen=True, slots=True)
class Match:
    """One resource that was found; `rid` is its row."""

    rid: int
    type: str
    id: str
    version: int
    last_updated: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Matches in order, and the cursor behind the last when there are more."""

    matches: tuple[Match, ...]
    next: Cursor | None


def match_of(row: tuple[Any, ...]) -> Match:
    """Return the match that the first columns of `row` hold."""
    rid, identifier, version, last_updated, body, number = row[:WIDTH]
    return Match(rid, R4_RESOURCE_TYPES[number - 1], identifier, version, last_updated, body.encode())


def execute(
    connection: Connection[tuple[Any, ...]], statement: Sql, *, depends_on_values: bool = False
) -> list[tuple[Any, ...]]:
    """Return the rows of `statement`.

    With `depends_on_values` it is planned for them even where the connection keeps plans for any values.
    """
    if depends_on_values:
        # What a client binds itself is planned each time (Python's quoting is psycopg's).
        return ClientCursor(connection).execute(statement.text, statement.params).fetchall()
    return connection.execute(statement.text, statement.params).fetchall()
