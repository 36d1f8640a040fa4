"""The chain: each record's hash is over the hash before it, so that none can be changed, moved or taken out.

hash = H(previous hash ‖ seq ‖ chained_at ‖ name of H ‖ body): seq and the microseconds of chained_at as 8
bytes, big-endian; the body as it is stored. Before the first record stands a hash of zeros. H is SHA-256
or SM3 (GB/T 32905-2016). One writer at a time, by an advisory lock, gives the numbers. Not here: where the
bodies come from (`hie.core.audit.collecting`), and the check (`hie.core.audit.verification`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import orjson

from hie.core.audit.months import ensure_month
from hie.core.audit.record import agent_of, recorded_at, seen_of
from hie.core.crypto.digest import DigestName, hash_of
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject

Digest = DigestName

GENESIS: Final = bytes(32)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Key of the advisory lock of the one writer.
_LOCK: Final = 0x6175_6469_7400
_COPY: Final = (
    "COPY audit_event (seq, chained_at, digest, hash, body, id, recorded, kind, interaction, action, status,"
    " agent, patient, entities) FROM STDIN"
)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: its last record, 0 and GENESIS when there is none."""

    seq: int
    hash: bytes
    chained_at: datetime


class Columns(NamedTuple):
    """What searches go by, taken from the body."""

    id: str
    recorded: datetime
    kind: str
    interaction: str
    action: str
    status: int
    agent: str
    patient: str | None
    entities: list[str]


def link(digest: str, previous: bytes, seq: int, chained_at: datetime, body: bytes) -> bytes:
    """Return the hash of a record; raises ValueError for a digest that is not known."""
    moment = (chained_at - _EPOCH) // _MICROSECOND
    head = previous + seq.to_bytes(8) + moment.to_bytes(8) + digest.encode()
    return hash_of(digest, head + body)


def columns_of(body: JsonObject) -> Columns:
    """Return what searches go by of a record; `patients` has one at most once it is chained."""
    patients = body.get("patients") or [None]
    target = str(body.get("on", "")).partition("/_history/")[0]
    entities = dict.fromkeys([target] if "/" in target else [])
    entities.update(dict.fromkeys(f"{kind}/{each}" for kind, each in seen_of(body)))
    return Columns(
        body["id"],
        recorded_at(body["at"]),
        body["kind"],
        body["do"],
        body["action"],
        body["status"],
        agent_of(body["who"]),
        patients[0],
        list(entities),
    )


def lock(transaction: Transaction) -> Head:
    """Become the one writer until the transaction ends; return the end of the chain."""
    connection = transaction.connection
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    return head(transaction)


def head(transaction: Transaction) -> Head:
    """Return the end of the chain."""
    row = transaction.connection.execute("SELECT seq, hash, chained_at FROM audit_chain").fetchone()
    return Head(0, GENESIS, _EPOCH) if row is None else Head(*row)


def extend(
    transaction: Transaction, end: Head, bodies: Sequence[bytes], *, digest: Digest, now: datetime
) -> Head:
    """Chain `bodies` after `end`, which the caller locked; return the new end."""
    if not bodies:
        return end
    connection = transaction.connection
    # A clock that was set back would otherwise mix the months, which retention drops whole.
    chained_at = max(now, end.chained_at)
    ensure_month(transaction, chained_at)
    seq, previous = end.seq, end.hash
    with connection.cursor().copy(_COPY) as copy:
        for body in bodies:
            seq += 1
            previous = link(digest, previous, seq, chained_at, body)
            copy.write_row((seq, chained_at, digest, previous, body, *columns_of(orjson.loads(body))))
    connection.execute(
        "INSERT INTO audit_chain (seq, hash, chained_at) VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE"
        " SET seq = excluded.seq, hash = excluded.hash, chained_at = excluded.chained_at",
        (seq, previous, chained_at),
    )
    return Head(seq, previous, chained_at)


_MICROSECOND: Final = datetime.resolution
