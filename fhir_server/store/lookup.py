"""Finds many resources at once: by identity, and by identifier through the token index.

Statements only, set-based, in the caller's transaction; what the results mean is
decided in `fhir_server.transaction`.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from psycopg import Connection

from fhir_server.store import planner
from fhir_server.store.arrays import BigInts, Blobs, Ints, SmallInts, Texts
from fhir_server.store.bodies import open_rows
from fhir_server.store.content import is_keyed, keyed_digest
from fhir_server.store.settled import UNDER_WAY
from hie.core.crypto.text_cipher import cipher_of
from hie.core.db.database import Transaction

Key = tuple[int, str]
"""Type number and id of a resource."""

# Two would do to tell one match from many; more are read so that matches that the same batch
# has changed meanwhile can be left out.
_MATCHES = 8

_COLUMNS = "r.type, r.id, r.rid, r.version, r.is_deleted, r.last_updated, r.digest"
_WIDTH = _COLUMNS.count(",") + 1

# OFFSET 0 keeps each look-up a walk down an index, whatever the statistics say of a young table.
FIND_BY_KEY = f"""
SELECT {_COLUMNS}
FROM unnest(%s, %s) AS k (type, id)
CROSS JOIN LATERAL (
    SELECT * FROM resource WHERE type = k.type AND id = k.id OFFSET 0
) AS r
"""  # noqa: S608 - our columns

# The hashes find, the text confirms: two systems whose 32-bit hashes collide must not make
# one hospital's patient the other's. What is sealed comes along and is confirmed when it is opened.
FIND_BY_TOKEN = f"""
SELECT k.n, CASE WHEN substr(r.body, 1, 1) = '\\x01' THEN r.body END, {_COLUMNS}
FROM unnest(%s, %s, %s, %s, %s) AS k (n, param, code_hash, system_hash, system)
CROSS JOIN LATERAL (
    SELECT t.rid FROM ix_token t
    WHERE t.param = k.param AND t.code_hash = k.code_hash AND t.system_hash = k.system_hash
    ORDER BY t.seq DESC LIMIT {_MATCHES}
) AS t
CROSS JOIN LATERAL (SELECT * FROM resource WHERE rid = t.rid OFFSET 0) AS r
WHERE substr(r.body, 1, 1) = '\\x01' OR position(k.system IN r.body) > 0
"""  # noqa: S608 - our columns

# Everybody holds ALL_KEYS shared, so that a transaction with more keys than the server's lock
# table has room for can take it alone instead.
_ALL_KEYS = 0x4649_4852_5354_4F52
_MOST_LOCKS = 2000

READ_BODIES = "SELECT type, id, version, body, rid FROM resource WHERE rid = ANY(%s)"

LOCK_KEYS = "SELECT pg_advisory_xact_lock(k) FROM unnest(%s) AS k"
LOCK_ROWS = "SELECT rid, version FROM resource WHERE rid = ANY(%s) ORDER BY rid FOR UPDATE"

# What comes next in the transaction is the statement that writes, which ends this itself; the versions
# are stamped between the two. Most transactions write one version: without FROM, planning their number
# costs 30 µs less.
TAKE_NUMBER = f"SELECT NULL, NULL, ARRAY[nextval('resource_seq')], {planner.BEGIN}, {UNDER_WAY}"
TAKE_NUMBERS = f"""
SELECT NULL, NULL, array_agg(nextval('resource_seq')), {planner.BEGIN}, {UNDER_WAY}
FROM generate_series(1, %s)
"""  # noqa: S608 - our settings

# The numbers depend on what is locked, so that none is taken before.
LOCK_ROWS_AND_TAKE_NUMBERS = f"""
WITH locked AS MATERIALIZED ({LOCK_ROWS})
SELECT l.rids, l.versions, n.numbers, {planner.BEGIN}, {UNDER_WAY}
FROM (SELECT array_agg(rid) AS rids, array_agg(version) AS versions, count(*) AS count FROM locked) AS l,
    LATERAL (
        SELECT array_agg(nextval('resource_seq')) AS numbers
        FROM generate_series(1, %s + 0 * l.count)
    ) AS n
"""  # noqa: S608 - our statements

# A subquery that locks stays one: the number is taken above it.
FIND_AND_LOCK_ONE = f"""
SELECT r.*, nextval('resource_seq'), {planner.BEGIN}
FROM (SELECT {_COLUMNS} FROM resource AS r WHERE type = %s AND id = %s FOR UPDATE) AS r
"""  # noqa: S608 - our columns


class Token(NamedTuple):
    """One key of the token index: an identifier under the search parameter of a type."""

    param: int
    code_hash: int
    system_hash: int


class Identifier(NamedTuple):
    """An identifier to look up: its key, and its system as text, by which a match of hashes is confirmed."""

    token: Token
    system: str

    @property
    def lock(self) -> int:
        """The advisory lock of whoever creates a resource with it."""
        token = self.token
        return token.code_hash ^ (token.param << 32 | token.system_hash & 0xFFFFFFFF)

    @property
    def system_json(self) -> bytes:
        """The system as it stands in a stored body."""
        return orjson.dumps(self.system)


class Row(NamedTuple):
    """The current version of a resource, without its body."""

    type: int
    id: str
    rid: int
    version: int
    is_deleted: bool
    last_updated: datetime
    digest: bytes
    digest_key: bytes = b""

    @property
    def key(self) -> Key:
        """Type number and id."""
        return (self.type, self.id)

    def has_content(self, digest: bytes) -> bool:
        """Say whether its content is the one with the digest `fhir_server.store.content.digest_of` gave."""
        return self.digest == (keyed_digest(digest, self.digest_key) if self.digest_key else digest)


class Found:
    """What look-ups found so far: rows by identity, identities by identifier, and the tokens asked for."""

    __slots__ = ("bodies", "locked", "matches", "rows", "tokens")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.locked: tuple[int, int] | None = None
        """The rid of the one row that is locked already, and the seq of its next version."""
        self.bodies: dict[int, bytes | None] = {}
        self.rows: dict[Key, Row] = {}
        self.matches: dict[Identifier, list[Key]] = {}
        self.tokens: set[Token] = set()


def look_up(
    connection: Connection[tuple[Any, ...]],
    found: Found,
    keys: Sequence[Key],
    identifiers: Sequence[Identifier],
) -> None:
    """Add the rows of `keys` (deleted ones too) and the matches of `identifiers`, in one round trip.

    Afterwards each of `identifiers` has an entry in `found.matches`, empty when nothing matches.
    """
    by_key = by_token = None
    # A pipeline costs more than it saves for one statement.
    with connection.pipeline() if keys and identifiers else nullcontext():
        if keys:
            by_key = connection.execute(
                FIND_BY_KEY, (SmallInts([key[0] for key in keys]), Texts([key[1] for key in keys]))
            )
        if identifiers:
            by_token = connection.execute(FIND_BY_TOKEN, _columns(identifiers))
    if by_key is not None:
        for fields in by_key:
            row = _row(connection, fields)
            found.rows[row.key] = row
    if by_token is not None:
        for identifier in identifiers:
            found.matches[identifier] = []
            found.tokens.add(identifier.token)
        for number, row in _confirmed(connection, identifiers, by_token.fetchall()):
            found.rows[row.key] = row
            matches = found.matches[identifiers[number]]
            if row.key not in matches:
                matches.append(row.key)


def _confirmed(
    connection: Connection[tuple[Any, ...]], identifiers: Sequence[Identifier], rows: list[tuple[Any, ...]]
) -> list[tuple[int, Row]]:
    """Return the matches (position of the identifier, row) whose text has the system."""
    found = [(number, sealed, _row(connection, columns)) for number, sealed, *columns in rows]
    bodies = open_rows(connection, [(row.type, row.id, row.version, sealed) for _, sealed, row in found])
    return [
        (number, row)
        for (number, _, row), body in zip(found, bodies, strict=True)
        if body is None or identifiers[number].system_json in body
    ]


def _row(connection: Connection[tuple[Any, ...]], fields: Sequence[Any]) -> Row:
    """Return a row with what its digest is compared by."""
    row = Row(*fields)
    cipher = cipher_of(connection) if is_keyed(row.digest) else None
    return row if cipher is None else row._replace(digest_key=cipher.digest_key(connection))


def find_and_lock(connection: Connection[tuple[Any, ...]], found: Found, key: Key) -> None:
    """Add the row of `key`, locked until the transaction ends; only for who locks nothing else."""
    fields = connection.execute(FIND_AND_LOCK_ONE, key).fetchone()
    if fields is not None:
        row = found.rows[key] = _row(connection, fields[:_WIDTH])
        found.locked = row.rid, fields[_WIDTH]


def read_bodies(connection: Connection[tuple[Any, ...]], found: Found, rids: Sequence[int]) -> None:
    """Add the bodies of `rids` as they are now, which may be newer than their rows in `found`."""
    if rids:
        rows = connection.execute(READ_BODIES, (BigInts(rids),), binary=True).fetchall()
        bodies = open_rows(connection, [row[:4] for row in rows])
        found.bodies.update({row[4]: body for row, body in zip(rows, bodies, strict=True)})


def lock_keys(connection: Connection[tuple[Any, ...]], hashes: Iterable[int]) -> None:
    """Hold the keys of `hashes` until the transaction ends; every caller takes them in the same order."""
    ordered = sorted(set(hashes))
    if len(ordered) > _MOST_LOCKS:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ALL_KEYS,))
        return
    with connection.pipeline():
        connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_ALL_KEYS,))
        connection.execute(LOCK_KEYS, (BigInts(ordered),))


def lock_rows_and_take_numbers(
    transaction: Transaction, rids: Iterable[int], count: int
) -> tuple[dict[int, int], list[int]]:
    """Lock the resources `rids`, in order; return their versions by rid, and `count` new values of seq.

    The numbers are taken after the locks, so that a later version has a later seq.
    """
    ordered = sorted(rids)
    if not ordered and count == 1:
        made = transaction.connection.execute(TAKE_NUMBER)
    elif ordered:
        made = transaction.connection.execute(LOCK_ROWS_AND_TAKE_NUMBERS, (BigInts(ordered), count))
    else:
        made = transaction.connection.execute(TAKE_NUMBERS, (count,))
    locked, versions, numbers, *_ = made.fetchone() or (None, None, None)
    return dict(zip(locked or (), versions or (), strict=True)), numbers or []


def _columns(identifiers: Sequence[Identifier]) -> tuple[object, ...]:
    tokens = [identifier.token for identifier in identifiers]
    return (
        Ints(range(len(tokens))),
        Ints([token.param for token in tokens]),
        BigInts([token.code_hash for token in tokens]),
        Ints([token.system_hash for token in tokens]),
        Blobs([identifier.system_json for identifier in identifiers]),
    )
