"""Reads one resource together with what an access rule compares: index rows of some parameters."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from fhir_server.search.ruling import Marks
from fhir_server.store.bodies import open_body
from fhir_server.store.identity import is_id, type_number
from hie.core.ports import StoredResource

_MARKS: Final = """
r.is_deleted, r.key_hash,
ARRAY(SELECT ARRAY[x.param, x.code_hash, x.system_hash] FROM ix_token x
    WHERE x.rid = r.rid AND x.param = ANY(%s::int[])),
ARRAY(SELECT ARRAY[x.param, x.target_hash] FROM ix_reference x
    WHERE x.rid = r.rid AND x.param = ANY(%s::int[]))
FROM resource r WHERE r.type = %s AND r.id = %s
"""
_READ: Final = f"SELECT r.version, r.last_updated, r.body, {_MARKS}"
_LOOK: Final = f"SELECT {_MARKS}"


class Marked(NamedTuple):
    """One resource: its current version, None for a deletion or where only marks were read."""

    is_deleted: bool
    marks: Marks
    stored: StoredResource | None = None


def read_marked(
    connection: Connection[tuple[Any, ...]],
    resource_type: str,
    resource_id: str,
    tokens: str,
    references: str,
) -> Marked | None:
    """Return the resource with its rows of the parameters `tokens` and `references`; None where none was.

    Both are literals of integer[].
    """
    if not is_id(resource_id):
        return None
    row = connection.execute(
        _READ, (tokens, references, type_number(resource_type), resource_id), binary=True
    ).fetchone()
    if row is None:
        return None
    version, last_updated, body, *marks = row
    if body is None:
        return _marked(marks)
    text = open_body(connection, resource_type, resource_id, version, body)
    return _marked(marks)._replace(
        stored=StoredResource(resource_type, resource_id, version, last_updated, text)
    )


def look_at(
    connection: Connection[tuple[Any, ...]],
    resource_type: str,
    resource_id: str,
    tokens: str,
    references: str,
) -> Marked | None:
    """Return the rows of the parameters `tokens` and `references` without the resource; as `read_marked`."""
    if not is_id(resource_id):
        return None
    row = connection.execute(
        _LOOK, (tokens, references, type_number(resource_type), resource_id), binary=True
    ).fetchone()
    return None if row is None else _marked(row)


def _marked(row: Sequence[Any]) -> Marked:
    is_deleted, key_hash, found, referred = row
    return Marked(is_deleted, Marks(key_hash, found, referred))
