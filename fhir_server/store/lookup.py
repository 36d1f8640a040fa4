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

from fhir_server.store.arrays import BigInts, Ints, SmallInts, Texts
from hie.core.db.database import Transaction

Key = tuple[int, str]
"""Type number and id of a resource."""

# Two would do to tell one match from many; more are read so that matches that the same batch
# has changed meanwhile can be left out.
_MATCHES = 8

_COLUMNS = "r.type, r.id, r.rid, r.version, r.is_deleted, r.last_updated, r.digest"

# OFFSET 0 keeps each look-up a walk down an index, whatever the statistics say of a young table.
FIND_BY_KEY = f"""
SELECT {_COLUMNS}
FROM unnest(%s, %s) AS k (type, id)
CROSS JOIN LATERAL (
    SELECT * FROM resource WHERE type = k.type AND id = k.id OFFSET 0
) AS r
"""  # noqa: S608 - our columns

# The hashes find, the text confirms: two systems whose 32-bit hashes collide must not make
# one hospital's patient the other's.
FIND_BY_TOKEN = f"""
SELECT k.n, {_COLUMNS}
FROM unnest(%s, %s, %s, %s, %s) AS k (n, param, code_hash, system_hash, system)
CROSS JOIN LATERAL (
    SELECT t.rid FROM ix_token t
    WHERE t.param = k.param AND t.code_hash = k.code_hash AND t.system_hash = k.system_hash
    ORDER BY t.seq DESC LIMIT {_MATCHES}
) AS t
CROSS JOIN LATERAL (SELECT * FROM resource WHERE rid = t.rid OFFSET 0) AS r
WHERE strpos(r.body, k.system) > 0
"""  # noqa: S608 - our columns

# Everybody holds ALL_KEYS shared, so that a transaction with more keys than the server's lock
# table has room for can take it alone instead.
_ALL_KEYS = 0x4649_4852_5354_4F52
_MOST_LOCKS = 2000

READ_BODIES = "SELECT rid, body FROM resource WHERE rid = ANY(%s)"

LOCK_KEYS = "SELECT pg_advisory_xact_lock(k) FROM unnest(%s) AS k"
LOCK_ROWS = "SELECT rid, version FROM resource WHERE rid = ANY(%s) ORDER BY rid FOR UPDATE"
TAKE_NUMBERS = "SELECT nextval('resource_seq') FROM generate_series(1, %s)"


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
    def system_json(self) -> str:
        """The system as it stands in a stored body."""
        return orjson.dumps(self.system).decode()


class Row(NamedTuple):
    """The current version of a resource, without its body."""

    type: int
    id: str
    rid: int
    version: int
    is_deleted: bool
    last_updated: datetime
    digest: bytes

    @property
    def key(self) -> Key:
        """Type number and id."""
        return (self.type, self.id)


class Found:
    """What look-ups found so far: rows by identity, identities by identifier, and the tokens asked for."""

    __slots__ = ("bodies", "matches", "rows", "tokens")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.bodies: dict[int, str | None] = {}
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
            row = Row(*fields)
            found.rows[row.key] = row
    if by_token is not None:
        for identifier in identifiers:
            found.matches[identifier] = []
            found.tokens.add(identifier.token)
        for number, *columns in by_token:
            row = Row(*columns)
            found.rows[row.key] = row
            matches = found.matches[identifiers[number]]
            if row.key not in matches:
                matches.append(row.key)


def read_bodies(connection: Connection[tuple[Any, ...]], found: Found, rids: Sequence[int]) -> None:
    """Add the bodies of `rids` as they are now, which may be newer than their rows in `found`."""
    if rids:
        found.bodies.update(connection.execute(READ_BODIES, (BigInts(rids),)).fetchall())


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
    connection = transaction.connection
    ordered = sorted(rids)
    if not ordered:
        return {}, [row[0] for row in connection.execute(TAKE_NUMBERS, (count,))]
    with connection.pipeline():
        locked = connection.execute(LOCK_ROWS, (BigInts(ordered),))
        numbers = connection.execute(TAKE_NUMBERS, (count,))
    return dict(locked.fetchall()), [row[0] for row in numbers]


def _columns(identifiers: Sequence[Identifier]) -> tuple[object, ...]:
    tokens = [identifier.token for identifier in identifiers]
    return (
        Ints(range(len(tokens))),
        Ints([token.param for token in tokens]),
        BigInts([token.code_hash for token in tokens]),
        Ints([token.system_hash for token in tokens]),
        Texts([identifier.system_json for identifier in identifiers]),
    )
