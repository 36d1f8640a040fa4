"""Removes versions and resources physically, as sets: what $expunge does.

Nothing of what is removed can be read again, searched, or found in a history. What was current until
then is announced as deleted to those who follow the changes. Resources are locked in the order in which
all writers lock them.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.sql import Sql, all_of
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.tables import INDEX_TABLES
from hie.core.fhir.json import JsonObject

# A resource counts as many versions as it has; the first is taken whatever it counts.
_RESOURCES: Final = """
SELECT c.rid FROM (
    SELECT r.rid, sum(1 + (SELECT count(*) FROM resource_history h WHERE h.rid = r.rid))
        OVER (ORDER BY r.rid) AS versions, row_number() OVER (ORDER BY r.rid) AS n
    FROM (SELECT r.rid FROM resource r WHERE {where} ORDER BY r.rid LIMIT %s) AS r
) AS c
WHERE c.n = 1 OR c.versions <= %s
"""
_LOCK: Final = "SELECT rid FROM resource r WHERE rid = ANY(%s) AND {where} ORDER BY rid FOR UPDATE"
_REMOVE_CONTAINED: Final = "DELETE FROM contained WHERE container = ANY(%s) RETURNING rid"
_REMOVE_INDEX: Final = tuple(f"DELETE FROM {table.name} WHERE rid = ANY(%s)" for table in INDEX_TABLES)
_REMOVE_HISTORY: Final = "DELETE FROM resource_history WHERE rid = ANY(%s)"
_REMOVE: Final = "DELETE FROM resource WHERE rid = ANY(%s) RETURNING type, id, version, is_deleted"
_REMOVE_VERSIONS: Final = """
DELETE FROM resource_history WHERE (rid, version) IN (
    SELECT h.rid, h.version FROM resource_history h {join} WHERE {where}
    ORDER BY h.rid, h.version LIMIT %s FOR UPDATE OF h
)
"""


@dataclass(frozen=True, slots=True)
class Expunged:
    """What is to be removed, of one resource, a type, or everything.

    `version` names one superseded version. `is_previous`: superseded versions; `is_deleted`: resources
    whose current version is a deletion, whole; `is_everything`: resources, whatever they are.
    At most `limit` versions are removed at once, but the first resource is removed whole.
    """

    resource_type: str | None
    resource_id: str | None
    version: int | None
    limit: int
    is_previous: bool
    is_deleted: bool
    is_everything: bool

    def resources(self) -> Sql:
        """Return whether a row "r" of `resource` is meant."""
        where = [] if self.is_everything else [Sql("r.is_deleted")]
        if self.resource_type is not None:
            where.append(Sql("r.type = %s", (TYPE_NUMBER[self.resource_type],)))
        if self.resource_id is not None:
            where.append(Sql("r.id = %s", (self.resource_id,)))
        return all_of(where)

    def versions(self) -> tuple[str, Sql]:
        """Return what to join with, and whether a row "h" of `resource_history` is meant."""
        where = []
        if self.resource_type is not None:
            where.append(Sql("h.type = %s", (TYPE_NUMBER[self.resource_type],)))
        if self.version is not None:
            where.append(Sql("h.version = %s", (self.version,)))
        if self.resource_id is None:
            return "", all_of(where)
        where.append(Sql("r.type = h.type AND r.id = %s", (self.resource_id,)))
        return "JOIN resource r ON r.rid = h.rid", all_of(where)


def expunge(connection: Connection[tuple[Any, ...]], wanted: Expunged) -> tuple[int, list[JsonObject]]:
    """Remove what `wanted` says; return how many versions are gone, and the changes to announce."""
    removed, changes = 0, list[JsonObject]()
    if wanted.version is None and (wanted.is_deleted or wanted.is_everything):
        removed, changes = _remove_resources(connection, wanted)
    if wanted.is_previous and removed < wanted.limit:
        join, where = wanted.versions()
        statement = _REMOVE_VERSIONS.format(join=join, where=where.text)
        removed += connection.execute(statement, (*where.params, wanted.limit - removed)).rowcount
    return removed, changes


def _remove_resources(
    connection: Connection[tuple[Any, ...]], wanted: Expunged
) -> tuple[int, list[JsonObject]]:
    where = wanted.resources()
    limits = (wanted.limit, wanted.limit)
    chosen = _rids(connection, _RESOURCES.format(where=where.text), (*where.params, *limits))
    # One that was changed meanwhile is looked at again when it is locked.
    return remove(connection, _rids(connection, _LOCK.format(where=where.text), (chosen, *where.params)))


def remove(connection: Connection[tuple[Any, ...]], rids: Sequence[int]) -> tuple[int, list[JsonObject]]:
    """Remove the resources `rids`, which are locked; return as `expunge` does."""
    if not rids:
        return 0, []
    rids = list(rids)
    indexed = [*rids, *_rids(connection, _REMOVE_CONTAINED, (rids,))]
    with connection.pipeline():
        for statement in _REMOVE_INDEX:
            connection.execute(statement, (indexed,))
        superseded = connection.execute(_REMOVE_HISTORY, (rids,))
        current = connection.execute(_REMOVE, (rids,))
    rows = current.fetchall()
    changes: list[JsonObject] = [
        {"type": TYPE_NAME[kind], "id": identifier, "version": version + 1, "method": "DELETE"}
        for kind, identifier, version, is_deleted in rows
        if not is_deleted
    ]
    return superseded.rowcount + len(rows), changes


def _rids(connection: Connection[tuple[Any, ...]], statement: str, values: Sequence[object]) -> list[int]:
    return [rid for (rid,) in connection.execute(statement, values)]
