"""Puts resources into the tables by plain SQL, apart from the server's write path.

The rows are those of `Indexer`; versions, history and deletions are written as
`fhir_server.tables` describes them. COPY makes tens of thousands take seconds.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.index.contained import contained_rid, local_key
from fhir_server.index.hashing import reference_key
from fhir_server.index.indexer import Indexer
from fhir_server.index.rows import COLUMNS, NULLED
from fhir_server.tables import INDEX_TABLES
from hie.core.fhir.json import JsonObject, dumps

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def put(connection: Connection[tuple[Any, ...]], indexer: Indexer, resources: Sequence[JsonObject]) -> None:
    """Store each of `resources` under its type and id: the first version, or one more.

    As the server does, locks what exists before it takes numbers.

    meta.lastUpdated is EPOCH plus as many seconds as its sequence number.
    """
    keys = [reference_key(each["resourceType"], each["id"]) for each in resources]
    assert len(set(keys)) == len(keys), "one version of a resource at a time"
    known = dict(
        connection.execute(
            "SELECT key_hash, rid FROM resource WHERE key_hash = ANY(%s) ORDER BY rid FOR UPDATE", (keys,)
        ).fetchall()
    )
    numbers = [
        row[0]
        for row in connection.execute(
            "SELECT nextval('resource_seq') FROM generate_series(1, %s)", (len(resources),)
        )
    ]
    old = list(known.values())
    _supersede(connection, old)
    versions = dict(
        connection.execute("SELECT rid, version FROM resource WHERE rid = ANY(%s)", (old,)).fetchall()
    )
    connection.execute("DELETE FROM resource WHERE rid = ANY(%s)", (old,))
    rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in COLUMNS}
    inside: list[tuple[object, ...]] = []
    with connection.cursor().copy(
        "COPY resource"
        " (rid, type, id, key_hash, version, seq, method, is_deleted, last_updated, digest, body) FROM STDIN"
    ) as copy:
        for seq, key, resource in zip(numbers, keys, resources, strict=True):
            rid = known.get(key, seq)
            version = versions.get(rid, 0) + 1
            at = EPOCH + timedelta(seconds=seq)
            meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": at.isoformat()}
            kind = R4_RESOURCE_TYPES.index(resource["resourceType"]) + 1
            body = dumps({**resource, "meta": meta})
            copy.write_row((rid, kind, resource["id"], key, version, seq, 2, False, at, b"", body))
            found = indexer.index(resource)
            for name, table in rows.items():
                table.extend((*_with_nulls(name, row), rid, seq) for row in found.of(name))
            for each in found.contained:
                number = contained_rid(seq, each.position)
                inside.append((number, rid, kind, each.type, each.id, local_key(each.id or "")))
                for name, table in rows.items():
                    table.extend((*_with_nulls(name, row), number, number) for row in each.rows.of(name))
    with connection.cursor().copy(
        "COPY contained (rid, container, container_type, type, id, key_hash) FROM STDIN"
    ) as copy:
        for each_inside in inside:
            copy.write_row(each_inside)
    for name, table in rows.items():
        with connection.cursor().copy(
            f"COPY ix_{name} ({', '.join(COLUMNS[name])}, rid, seq) FROM STDIN"
        ) as copy:
            for row in table:
                copy.write_row(row)


def delete(connection: Connection[tuple[Any, ...]], resource_type: str, resource_id: str) -> None:
    """Delete a resource: its last version has no body and no index rows."""
    key = reference_key(resource_type, resource_id)
    found = connection.execute("SELECT rid FROM resource WHERE key_hash = %s", (key,)).fetchone()
    assert found is not None
    _supersede(connection, [found[0]])
    connection.execute(
        "UPDATE resource SET version = version + 1, seq = nextval('resource_seq'), method = 3,"
        " is_deleted = true, body = NULL WHERE rid = %s",
        (found[0],),
    )


def analyze(connection: Connection[tuple[Any, ...]]) -> None:
    """Give the planner its statistics, as autovacuum does after a load."""
    for table in ("resource", *(each.name for each in INDEX_TABLES)):
        connection.execute(f"ANALYZE {table}")


def _with_nulls(name: str, row: tuple[object, ...]) -> list[object]:
    columns = zip(COLUMNS[name], row, strict=True)
    return [None if value == 0 and (name, column) in NULLED else value for column, value in columns]


def _supersede(connection: Connection[tuple[Any, ...]], rids: Sequence[int]) -> None:
    connection.execute(
        "INSERT INTO resource_history (rid, type, version, seq, method, is_deleted, last_updated, body)"
        " SELECT rid, type, version, seq, method, is_deleted, last_updated, body"
        " FROM resource WHERE rid = ANY(%s)",
        (list(rids),),
    )
    gone = connection.execute(
        "DELETE FROM contained WHERE container = ANY(%s) RETURNING rid", (list(rids),)
    ).fetchall()
    both = [*rids, *(row[0] for row in gone)]
    for table in INDEX_TABLES:
        connection.execute(f"DELETE FROM {table.name} WHERE rid = ANY(%s)", (both,))  # noqa: S608 - our tables
