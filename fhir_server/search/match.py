"""A resource that a search found, as it comes from the tables."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.cursor import Cursor
from fhir_server.search.sql import Sql

# What `match_of` reads, of the resource `r`.
COLUMNS: Final = "r.rid, r.id, r.version, r.last_updated, r.body"
WIDTH: Final = COLUMNS.count(",") + 1


@dataclass(frozen=True, slots=True)
class Match:
    """One resource that was found; `rid` is its row."""

    rid: int
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
    rid, identifier, version, last_updated, body = row[:WIDTH]
    return Match(rid, identifier, version, last_updated, body.encode())


def execute(connection: Connection[tuple[Any, ...]], statement: Sql) -> list[tuple[Any, ...]]:
    """Return the rows of `statement`."""
    return connection.execute(statement.text, statement.params).fetchall()
