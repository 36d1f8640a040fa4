"""Reads one resource: its current version, an earlier one, its history.

Bodies come as they were stored. https://hl7.org/fhir/R4/http.html#read,
#vread, #history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from fhir_server.store.identity import is_id, type_number
from fhir_server.store.write import Method
from hie.core.errors import DeletedError, NotFoundError
from hie.core.ports import StoredResource

READ = "SELECT version, last_updated, body FROM resource WHERE type = %s AND id = %s"

VREAD = """
SELECT version, last_updated, body FROM resource
WHERE type = %(type)s AND id = %(id)s AND version = %(version)s
UNION ALL
SELECT h.version, h.last_updated, h.body
FROM resource r JOIN resource_history h ON h.rid = r.rid AND h.version = %(version)s
WHERE r.type = %(type)s AND r.id = %(id)s
"""

HISTORY = """
SELECT version, last_updated, body, method FROM (
    SELECT version, last_updated, body, method FROM resource WHERE type = %(type)s AND id = %(id)s
    UNION ALL
    SELECT h.version, h.last_updated, h.body, h.method
    FROM resource r JOIN resource_history h ON h.rid = r.rid
    WHERE r.type = %(type)s AND r.id = %(id)s
) AS v
WHERE version < %(before)s AND (%(since)s::timestamptz IS NULL OR last_updated >= %(since)s)
ORDER BY version DESC LIMIT %(count)s
"""

COUNT_HISTORY = """
SELECT count(*) FROM (
    SELECT last_updated FROM resource WHERE type = %(type)s AND id = %(id)s
    UNION ALL
    SELECT h.last_updated FROM resource r JOIN resource_history h ON h.rid = r.rid
    WHERE r.type = %(type)s AND r.id = %(id)s
) AS v
WHERE %(since)s::timestamptz IS NULL OR last_updated >= %(since)s
"""

_NEWEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One version and the method that made it; `resource.body` is None for a deletion."""

    resource: StoredResource
    method: Method


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, newest first; `next_before` is the cursor of the next page if there is one."""

    entries: Sequence[HistoryEntry]
    total: int
    next_before: int | None


def read(connection: Connection[tuple[Any, ...]], resource_type: str, resource_id: str) -> StoredResource:
    """Return the current version; raises NotFoundError, or DeletedError when that is a deletion."""
    _require_id(resource_type, resource_id)
    row = connection.execute(READ, (type_number(resource_type), resource_id)).fetchone()
    if row is None:
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")
    version, last_updated, body = row
    if body is None:
        raise DeletedError(f"`{resource_type}/{resource_id}` was deleted")
    return StoredResource(resource_type, resource_id, version, last_updated, body.encode())


def vread(
    connection: Connection[tuple[Any, ...]], resource_type: str, resource_id: str, version: int
) -> StoredResource:
    """Return version `version`; raises NotFoundError, or DeletedError when that is a deletion."""
    _require_id(resource_type, resource_id)
    row = connection.execute(
        VREAD, {"type": type_number(resource_type), "id": resource_id, "version": version}
    ).fetchone()
    if row is None:
        raise NotFoundError(f"`{resource_type}/{resource_id}` has no version {version}")
    _, last_updated, body = row
    if body is None:
        raise DeletedError(f"Version {version} of `{resource_type}/{resource_id}` is its deletion")
    return StoredResource(resource_type, resource_id, version, last_updated, body.encode())


def history(
    connection: Connection[tuple[Any, ...]],
    resource_type: str,
    resource_id: str,
    *,
    count: int,
    since: datetime | None = None,
    before: int | None = None,
) -> HistoryPage:
    """Return at most `count` versions made at or after `since` and before version `before`.

    Raises NotFoundError when there never was such a resource.
    """
    _require_id(resource_type, resource_id)
    names = {"type": type_number(resource_type), "id": resource_id, "since": since}
    (total,) = connection.execute(COUNT_HISTORY, names).fetchone() or (0,)
    if total == 0 and connection.execute(READ, (names["type"], resource_id)).fetchone() is None:
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")
    rows = connection.execute(HISTORY, {**names, "before": before or _NEWEST, "count": count + 1}).fetchall()
    entries = [
        HistoryEntry(
            StoredResource(
                resource_type, resource_id, version, last_updated, None if body is None else body.encode()
            ),
            Method(method),
        )
        for version, last_updated, body, method in rows[:count]
    ]
    next_before = entries[-1].resource.version if len(rows) > count and entries else None
    return HistoryPage(entries, total, next_before)


def _require_id(resource_type: str, resource_id: str) -> None:
    """Raise NotFoundError for what is no id: such a resource cannot exist, and PostgreSQL takes no U+0000."""
    if not is_id(resource_id):
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")
