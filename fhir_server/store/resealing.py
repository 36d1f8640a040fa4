"""Has stored bodies be as the settings say: sealed with the newest key of their suite, or plain; by batches.

Each batch locks its rows, so that none is written meanwhile, and changes only what is not so yet: doing one
again changes nothing. A body whose key was destroyed stays as it is. Not here: the job that drives it
(`fhir_server.bulk.resealing`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from fhir_server.ports import ResourceIndexer
from fhir_server.store.arrays import BigInts, Blobs, Ints
from fhir_server.store.bodies import open_body
from fhir_server.store.content import content, digest, is_keyed, keyed_digest
from fhir_server.store.identity import TYPE_NAME
from fhir_server.store.sealing import scope_of
from hie.core.crypto.envelope import Place
from hie.core.crypto.resealing import Found, reseal
from hie.core.crypto.text_cipher import TextCipher
from hie.core.fhir.json import loads

_CURRENT: Final = """
SELECT type, id, version, body, rid, digest FROM resource
WHERE (rid, version) > (%s, %s) AND body IS NOT NULL ORDER BY rid LIMIT %s FOR NO KEY UPDATE
"""
_SUPERSEDED: Final = """
SELECT h.type, r.id, h.version, h.body, h.rid FROM resource_history h JOIN resource r USING (rid)
WHERE (h.rid, h.version) > (%s, %s) AND h.body IS NOT NULL
ORDER BY h.rid, h.version LIMIT %s FOR NO KEY UPDATE OF h
"""
_SET_CURRENT: Final = """
UPDATE resource r SET body = v.body, digest = v.digest
FROM unnest(%s, %s, %s, %s) AS v (rid, version, body, digest)
WHERE r.rid = v.rid AND r.version = v.version
"""
_SET_SUPERSEDED: Final = """
UPDATE resource_history r SET body = v.body FROM unnest(%s, %s, %s) AS v (rid, version, body)
WHERE r.rid = v.rid AND r.version = v.version
"""


class Batch(NamedTuple):
    """What a batch came to: the rows looked at, those changed, and the place behind it, None at the end."""

    seen: int
    changed: int
    behind: tuple[int, int] | None


def reseal_current(
    connection: Connection[tuple[Any, ...]],
    cipher: TextCipher,
    indexer: ResourceIndexer,
    behind: tuple[int, int],
    count: int,
) -> Batch:
    """Go over the next `count` current versions behind the place `behind` (rid, version)."""
    rows = connection.execute(_CURRENT, (*behind, count), binary=True).fetchall()
    changed = _resealed(connection, cipher, indexer, [row[:5] for row in rows])
    if changed:
        digests = {at: _digest(connection, cipher, rows[at]) for at in changed}
        columns = [(rows[at][4], rows[at][2], body, digests[at]) for at, body in changed.items()]
        rids, versions, bodies, made = zip(*columns, strict=True)
        connection.execute(_SET_CURRENT, (BigInts(rids), Ints(versions), Blobs(bodies), Blobs(made)))
    return Batch(len(rows), len(changed), (rows[-1][4], rows[-1][2]) if len(rows) == count else None)


def reseal_superseded(
    connection: Connection[tuple[Any, ...]],
    cipher: TextCipher,
    indexer: ResourceIndexer,
    behind: tuple[int, int],
    count: int,
) -> Batch:
    """Go over the next `count` superseded versions, as `reseal_current`."""
    rows = connection.execute(_SUPERSEDED, (*behind, count), binary=True).fetchall()
    changed = _resealed(connection, cipher, indexer, rows)
    if changed:
        columns = [(rows[at][4], rows[at][2], body) for at, body in changed.items()]
        rids, versions, bodies = zip(*columns, strict=True)
        connection.execute(_SET_SUPERSEDED, (BigInts(rids), Ints(versions), Blobs(bodies)))
    return Batch(len(rows), len(changed), (rows[-1][4], rows[-1][2]) if len(rows) == count else None)


def _resealed(
    connection: Connection[tuple[Any, ...]],
    cipher: TextCipher,
    indexer: ResourceIndexer,
    rows: Sequence[tuple[int, str, int, bytes, int]],
) -> Mapping[int, bytes]:
    """Return position -> the body as it is to be, of those of `rows` that are not so."""

    def scope(at: int, text: bytes) -> str:
        kind, identity, *_ = rows[at]
        return scope_of(kind, identity, indexer.index(loads(text)), text)

    found = [
        Found(Place(TYPE_NAME[kind], identity, version), body) for kind, identity, version, body, _ in rows
    ]
    return reseal(connection, cipher, found, scope)


def _digest(
    connection: Connection[tuple[Any, ...]],
    cipher: TextCipher,
    row: tuple[int, str, int, bytes, int, bytes],
) -> bytes:
    """Return the digest of a current version as it is to be: keyed, or plain."""
    kind, identity, version, body, _, stored = row
    if is_keyed(stored) == cipher.is_on:
        return stored
    if cipher.is_on:
        return keyed_digest(stored, cipher.digest_key(connection))
    text = open_body(connection, TYPE_NAME[kind], identity, version, body)
    return digest(content(loads(text), identity))
