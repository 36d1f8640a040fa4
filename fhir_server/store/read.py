"""Reads one resource: its current version, an earlier one, its history.

Bodies come as they were stored. https://hl7.org/fhir/R4/http.html#read,
#vread, #history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from fhir_server.index.date_range import DateRange
from fhir_server.search.sql import Sql
from fhir_server.store.bodies import open_body, open_stored
from fhir_server.store.identity import TYPE_NAME, is_id, type_number
from fhir_server.store.write import Method
from hie.core.errors import DeletedError, NotFoundError
from hie.core.fhir.json import JsonObject, loads
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

# Versions of one resource; `until` is when the next one was made, null for the current one.
_VERSIONS = """
SELECT v.*, lag(last_updated) OVER (ORDER BY version DESC) AS until FROM (
    SELECT version, last_updated, body, method FROM resource WHERE type = %(type)s AND id = %(id)s
    UNION ALL
    SELECT h.version, h.last_updated, h.body, h.method
    FROM resource r JOIN resource_history h ON h.rid = r.rid
    WHERE r.type = %(type)s AND r.id = %(id)s
) AS v
"""

_WITHIN = """
(%(since)s::timestamptz IS NULL OR last_updated >= %(since)s)
AND (%(low)s::timestamptz IS NULL OR coalesce(until, 'infinity') > %(low)s)
AND (%(high)s::timestamptz IS NULL OR last_updated < %(high)s)
"""

HISTORY = f"""
SELECT version, last_updated, body, method FROM ({_VERSIONS}) AS w
WHERE version < %(before)s AND {_WITHIN} ORDER BY version DESC LIMIT %(count)s
"""  # noqa: S608 - our statements

LAST_BODY = """
SELECT r.type, r.id, h.version, h.body FROM resource_history h JOIN resource r USING (rid)
WHERE h.rid = %s AND h.body IS NOT NULL ORDER BY h.version DESC LIMIT 1
"""

COUNT_HISTORY = f"SELECT count(*) FROM ({_VERSIONS}) AS w WHERE {_WITHIN}"  # noqa: S608 - our statements

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
    row = connection.execute(READ, (type_number(resource_type), resource_id), binary=True).fetchone()
    if row is None:
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")
    version, last_updated, body = row
    if body is None:
        raise DeletedError(f"`{resource_type}/{resource_id}` was deleted")
    text = open_body(connection, resource_type, resource_id, version, body)
    return StoredResource(resource_type, resource_id, version, last_updated, text)


def read_all(
    connection: Connection[tuple[Any, ...]], targets: Sequence[tuple[str, str]], readable: Sql
) -> list[StoredResource]:
    """Return the current resources among `targets`, types and ids, in that order; deleted ones are none.

    `readable` is a predicate over ``r``, a row of `resource`.
    """
    rows = connection.execute(
        f"""
        SELECT k.n, r.version, r.last_updated, r.body
        FROM unnest(%s::int[], %s::smallint[], %s::text[]) AS k (n, type, id)
        CROSS JOIN LATERAL (
            SELECT * FROM resource WHERE type = k.type AND id = k.id AND NOT is_deleted OFFSET 0
        ) AS r
        WHERE {readable.text} ORDER BY k.n
        """,  # noqa: S608 - our columns
        (
            list(range(len(targets))),
            [type_number(resource_type) for resource_type, _ in targets],
            [resource_id for _, resource_id in targets],
            *readable.params,
        ),
        binary=True,
    )
    return open_stored(
        connection,
        [
            StoredResource(targets[number][0], targets[number][1], version, last_updated, body)
            for number, version, last_updated, body in rows
        ],
    )


def vread(
    connection: Connection[tuple[Any, ...]], resource_type: str, resource_id: str, version: int
) -> StoredResource:
    """Return version `version`; raises NotFoundError, or DeletedError when that is a deletion."""
    _require_id(resource_type, resource_id)
    row = connection.execute(
        VREAD, {"type": type_number(resource_type), "id": resource_id, "version": version}, binary=True
    ).fetchone()
    if row is None:
        raise NotFoundError(f"`{resource_type}/{resource_id}` has no version {version}")
    _, last_updated, body = row
    if body is None:
        raise DeletedError(f"Version {version} of `{resource_type}/{resource_id}` is its deletion")
    text = open_body(connection, resource_type, resource_id, version, body)
    return StoredResource(resource_type, resource_id, version, last_updated, text)


def history(
    connection: Connection[tuple[Any, ...]],
    resource_type: str,
    resource_id: str,
    *,
    count: int,
    since: datetime | None = None,
    at: DateRange | None = None,
    before: int | None = None,
) -> HistoryPage:
    """Return at most `count` versions made at or after `since` and before version `before`.

    With `at` only versions that were current for some time in that period.
    Raises NotFoundError when there never was such a resource.
    """
    _require_id(resource_type, resource_id)
    low, high = at or (None, None)
    names = {"type": type_number(resource_type), "id": resource_id, "since": since, "low": low, "high": high}
    (total,) = connection.execute(COUNT_HISTORY, names).fetchone() or (0,)
    if total == 0 and connection.execute(READ, (names["type"], resource_id)).fetchone() is None:
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")
    rows = connection.execute(
        HISTORY, {**names, "before": before or _NEWEST, "count": count + 1}, binary=True
    ).fetchall()
    stored = open_stored(
        connection,
        [
            StoredResource(resource_type, resource_id, version, last_updated, body)
            for version, last_updated, body, _ in rows[:count]
        ],
    )
    entries = [
        HistoryEntry(each, Method(method)) for each, (*_, method) in zip(stored, rows[:count], strict=True)
    ]
    next_before = entries[-1].resource.version if len(rows) > count and entries else None
    return HistoryPage(entries, total, next_before)


def is_deleted(connection: Connection[tuple[Any, ...]], resource_type: str, resource_id: str) -> bool:
    """Say whether the current version is a deletion."""
    if not is_id(resource_id):
        return False
    row = connection.execute(READ, (type_number(resource_type), resource_id)).fetchone()
    return row is not None and row[2] is None


def last_body(connection: Connection[tuple[Any, ...]], rid: int) -> bytes | None:
    """Return the last content of a deleted resource, None when there is none."""
    row = connection.execute(LAST_BODY, (rid,), binary=True).fetchone()
    if row is None:
        return None
    number, resource_id, version, body = row
    return open_body(connection, TYPE_NAME[number], resource_id, version, body)


def last_content(
    connection: Connection[tuple[Any, ...]], resource_type: str, resource_id: str
) -> JsonObject | None:
    """Return the content of the newest version that is no deletion, None when there is none."""
    found = connection.execute(
        "SELECT rid, version, body FROM resource WHERE type = %s AND id = %s",
        (type_number(resource_type), resource_id),
        binary=True,
    ).fetchone()
    if found is None:
        return None
    rid, version, body = found
    text = (
        last_body(connection, rid)
        if body is None
        else open_body(connection, resource_type, resource_id, version, body)
    )
    content: JsonObject | None = None if text is None else loads(text)
    return content


def _require_id(resource_type: str, resource_id: str) -> None:
    """Raise NotFoundError for what is no id: such a resource cannot exist, and PostgreSQL takes no U+0000."""
    if not is_id(resource_id):
        raise NotFoundError(f"`{resource_type}/{resource_id}` does not exist")
