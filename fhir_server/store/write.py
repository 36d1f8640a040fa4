"""Writes versions of resources, set-based: one statement for any number of resources.

Every part is a data-modifying CTE of that statement, so that a write costs one
round trip and one preparation. The caller has locked the resources and numbered
the versions. Superseded versions go to `resource_history`, copied inside the
database; index rows are those of the current version only. The parts see the
tables as they were before: what is deleted and what is inserted never meet.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from psycopg import Connection

from fhir_server.index.contained import contained_rid, local_key
from fhir_server.index.hashing import reference_key
from fhir_server.index.rows import COLUMNS, NULLED, IndexRows
from fhir_server.store import planner
from fhir_server.store.arrays import BigInts, Blobs, Bools, Ints, SmallInts, Texts, Timestamps
from fhir_server.store.identity import TYPE_NAME
from fhir_server.store.lookup import Key
from fhir_server.tables import INDEX_TABLES

_INSERT = """
INSERT INTO resource
    (rid, type, id, key_hash, version, seq, method, is_deleted, last_updated, digest, body)
SELECT rid, type, id, key_hash, version, seq, method, is_deleted, %s, digest, body
FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    AS v (rid, type, id, key_hash, version, seq, method, is_deleted, digest, body)
"""

_SUPERSEDE = """
INSERT INTO resource_history (rid, type, version, seq, method, is_deleted, last_updated, body)
SELECT rid, type, version, seq, method, is_deleted, last_updated, body
FROM resource WHERE rid = ANY(%s)
"""

_UPDATE = """
UPDATE resource r
SET version = v.version, seq = v.seq, method = v.method, is_deleted = v.is_deleted,
    last_updated = %s, digest = v.digest, body = v.body
FROM unnest(%s, %s, %s, %s, %s, %s, %s) AS v (rid, version, seq, method, is_deleted, digest, body)
WHERE r.rid = v.rid
"""

_INSERT_HISTORY = """
INSERT INTO resource_history (rid, type, version, seq, method, is_deleted, last_updated, body)
SELECT rid, type, version, seq, method, is_deleted, %s, body
FROM unnest(%s, %s, %s, %s, %s, %s, %s) AS v (rid, type, version, seq, method, is_deleted, body)
"""

# Of the resources %s and of what they contain.
_DELETE_CONTAINED = "DELETE FROM contained WHERE container = ANY(%s) RETURNING rid"
_DELETED = "SELECT %s::bigint[] || ARRAY(SELECT g.rid FROM gone g) AS rids"
_DELETE_INDEX = tuple(
    f"DELETE FROM {table.name} WHERE rid = ANY((SELECT d.rids FROM deleted d)::bigint[])"  # noqa: S608 - our tables
    for table in INDEX_TABLES
)

_INSERT_CONTAINED = """
INSERT INTO contained (rid, container, container_type, type, id, key_hash)
SELECT * FROM unnest(%s, %s, %s, %s, %s, %s)
"""


class Method(IntEnum):
    """What made a version, as `resource.method` keeps it."""

    POST = 1
    PUT = 2
    DELETE = 3
    PATCH = 4


class Written(NamedTuple):
    """One version to write; `body` is as it is stored (`fhir_server.store.sealing`), None for a deletion."""

    rid: int
    key: Key
    version: int
    seq: int
    method: int
    digest: bytes
    body: bytes | None
    rows: IndexRows


class Statement:
    """One statement, made of parts that write."""

    def __init__(self) -> None:
        """Begin with no part."""
        self._parts: list[str] = []
        self._parameters: list[object] = []

    def add(self, part: str, *parameters: object, name: str = "") -> None:
        """Add an INSERT, UPDATE or DELETE with its parameters; others may refer to it by its `name`."""
        self._parts.append(f"{name or f'p{len(self._parts)}'} AS ({part})")
        self._parameters += parameters

    @property
    def text(self) -> str:
        """The statement's text."""
        return f"WITH {', '.join(self._parts)} SELECT {planner.END}"

    @property
    def parameters(self) -> Sequence[object]:
        """The statement's parameters, in order."""
        return self._parameters

    def execute(self, connection: Connection[tuple[Any, ...]]) -> None:
        """Execute the parts, if there are any."""
        if self._parts:
            connection.execute(self.text, self._parameters)


def write_versions(
    *,
    inserted: Sequence[Written],
    updated: Sequence[Written],
    superseded: Sequence[Written],
    last_updated: datetime,
) -> Statement:
    """Return the statement that writes versions and index rows.

    `inserted` are the current versions of resources that are not stored yet, `updated` of those
    that are; `superseded` are versions that were never current outside their transaction.
    """
    statement = Statement()
    if superseded:
        _insert_superseded(statement, superseded, last_updated)
    if updated:
        _update_resources(statement, updated, last_updated)
    if inserted:
        _insert_resources(statement, inserted, last_updated)
    _insert_index_rows(statement, [*updated, *inserted])
    return statement


class Indexed(NamedTuple):
    """The index rows of a current version that is stored already."""

    rid: int
    seq: int
    rows: IndexRows


def rewrite_index(indexed: Sequence[Indexed]) -> Statement:
    """Return the statement that puts index rows in the place of those that are stored."""
    statement = Statement()
    _delete_index_rows(statement, BigInts([each.rid for each in indexed]))
    _insert_index_rows(statement, indexed)
    return statement


def _insert_resources(statement: Statement, versions: Sequence[Written], last_updated: datetime) -> None:
    statement.add(
        _INSERT,
        last_updated,
        BigInts([v.rid for v in versions]),
        SmallInts([v.key[0] for v in versions]),
        Texts([v.key[1] for v in versions]),
        BigInts([reference_key(TYPE_NAME[v.key[0]], v.key[1]) for v in versions]),
        Ints([v.version for v in versions]),
        BigInts([v.seq for v in versions]),
        SmallInts([v.method for v in versions]),
        Bools([v.body is None for v in versions]),
        Blobs([v.digest for v in versions]),
        Blobs([v.body for v in versions]),
    )


def _update_resources(statement: Statement, versions: Sequence[Written], last_updated: datetime) -> None:
    rids = BigInts([v.rid for v in versions])
    statement.add(_SUPERSEDE, rids)
    statement.add(
        _UPDATE,
        last_updated,
        rids,
        Ints([v.version for v in versions]),
        BigInts([v.seq for v in versions]),
        SmallInts([v.method for v in versions]),
        Bools([v.body is None for v in versions]),
        Blobs([v.digest for v in versions]),
        Blobs([v.body for v in versions]),
    )
    _delete_index_rows(statement, rids)


def _insert_superseded(statement: Statement, versions: Sequence[Written], last_updated: datetime) -> None:
    statement.add(
        _INSERT_HISTORY,
        last_updated,
        BigInts([v.rid for v in versions]),
        SmallInts([v.key[0] for v in versions]),
        Ints([v.version for v in versions]),
        BigInts([v.seq for v in versions]),
        SmallInts([v.method for v in versions]),
        Bools([v.body is None for v in versions]),
        Blobs([v.body for v in versions]),
    )


def _delete_index_rows(statement: Statement, rids: BigInts) -> None:
    statement.add(_DELETE_CONTAINED, rids, name="gone")
    statement.add(_DELETED, rids, name="deleted")
    for deletion in _DELETE_INDEX:
        statement.add(deletion)


def _insert_index_rows(statement: Statement, versions: Sequence[Written | Indexed]) -> None:
    containers = [version for version in versions if version.rows.contained]
    if containers:
        versions = [*versions, *_insert_contained(statement, containers)]
    for name, (insertion, types) in _PACKERS.items():
        rows: list[tuple[Any, ...]] = []
        rids: list[int] = []
        seqs: list[int] = []
        for version in versions:
            mine = version.rows.of(name)
            if mine:
                rows += mine
                rids += [version.rid] * len(mine)
                seqs += [version.seq] * len(mine)
        if rows:
            columns = [make(column) for make, column in zip(types, zip(*rows, strict=True), strict=True)]
            statement.add(insertion, *columns, BigInts(rids), BigInts(seqs))


def _insert_contained(statement: Statement, containers: Sequence[Written | Indexed]) -> list[Indexed]:
    """Add the contained resources of `containers`, and return what their index rows are."""
    given = [(version, each) for version in containers for each in version.rows.contained]
    rids = [contained_rid(version.seq, each.position) for version, each in given]
    statement.add(
        _INSERT_CONTAINED,
        BigInts(rids),
        BigInts([version.rid for version, _ in given]),
        SmallInts([each.container_type for _, each in given]),
        SmallInts([each.type for _, each in given]),
        Texts([each.id for _, each in given]),
        BigInts([local_key(each.id or "") for _, each in given]),
    )
    return [Indexed(rid, rid, each.rows) for rid, (_, each) in zip(rids, given, strict=True)]


def _decimals(values: Iterable[object]) -> Texts:
    return Texts([None if value is None else str(value) for value in values])


def _optional_types(values: Iterable[int | None]) -> SmallInts:
    return SmallInts([value or 0 for value in values])


# What packs a column and, where it is sent as another type, the cast to its own.
_KINDS: dict[str, tuple[Callable[[Any], object], str]] = {
    "target_type": (_optional_types, ""),
    **dict.fromkeys(("param", "system_hash", "first_system", "second_system", "third_system"), (Ints, "")),
    **dict.fromkeys(
        (
            "code_hash",
            "target_hash",
            "unit_hash",
            "uri_hash",
            "canonical_hash",
            "key_hash",
            "first_hash",
            "second_hash",
            "third_hash",
        ),
        (BigInts, ""),
    ),
    **dict.fromkeys(("code", "norm", "exact", "sort_key", "uri"), (Texts, "")),
    "words": (Texts, "::tsvector"),
    **dict.fromkeys(
        ("lo", "hi", "canonical_lo", "canonical_hi", "third_lo", "third_hi"), (_decimals, "::numeric")
    ),
}


def _packers(name: str, columns: Sequence[str]) -> tuple[str, tuple[Callable[[Any], object], ...]]:
    """Return the statement that inserts rows of ``ix_name``, and what packs each of its columns."""
    kinds = [
        (Timestamps, "") if name == "date" and column in {"lo", "hi"} else _KINDS[column]
        for column in columns
    ]
    selected = [
        f"nullif({column}, 0::smallint)" if (name, column) in NULLED else column + cast
        for column, (_, cast) in zip(columns, kinds, strict=True)
    ]
    names = ", ".join((*columns, "rid", "seq"))
    placeholders = ", ".join(["%s"] * (len(columns) + 2))
    statement = (
        f"INSERT INTO ix_{name} ({names}) SELECT {', '.join(selected)}, rid, seq"  # noqa: S608 - our tables
        f" FROM unnest({placeholders}) AS v ({names})"
    )
    return statement, tuple(make for make, _ in kinds)


# By attribute of IndexRows.
_PACKERS = {name: _packers(name, columns) for name, columns in COLUMNS.items()}
