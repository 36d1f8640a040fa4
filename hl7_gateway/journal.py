"""The journal: every message as it was received, what became of it, and whether it had come before.

Set-based statements on the table `journal`; nothing here opens or ends a transaction. A message is the same
as another when sender, MSH-10 and all bytes are the same. The unique key of the table settles a race between
two processes: the later one fails with `ResentError` and finds the other's row when it tries again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import orjson
from psycopg.errors import UniqueViolation

from hie.core.crypto.text_cipher import SYSTEM
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.journal_envelopes import Message, envelopes
from hl7_gateway.tables import MessageState

# A class number of its own for two-key advisory locks, so that they meet no other lock.
_LOCK_CLASS = 2575
_LONGEST_TEXT = 500
_LONGEST_TIME = 64

_FIND = """
SELECT k.ordinal - 1, j.id, j.state, j.ack_code, EXISTS (
    SELECT FROM journal AS other
    WHERE other.message_key = k.message_key AND other.digest <> k.digest AND other.state = 'stored')
FROM unnest(%b::bytea[], %b::bytea[]) WITH ORDINALITY AS k (message_key, digest, ordinal)
LEFT JOIN journal AS j ON j.message_key = k.message_key AND j.digest = k.digest
"""
_LOCK = "SELECT pg_advisory_xact_lock(%s, key) FROM (SELECT unnest(%b::int4[]) AS key ORDER BY 1) AS keys"
# In the order of the unique key, so that two processes never wait for each other.
_INSERT = """
INSERT INTO journal (received_at, sender, control_id, event, message_key, digest, raw, charset, state, stage,
    error, report, ack_code, resources, reuses_control_id, resends, sent_at, is_sealed, details)
SELECT * FROM unnest(%b::timestamptz[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::bytea[],
%b::bytea[],
    %b::text[], %b::text[], %b::text[], %t::jsonb[], %t::jsonb[], %b::text[], %t::jsonb[], %b::bool[],
    %b::int4[], %b::text[], %b::bool[], %b::bytea[]) AS r (received_at, sender, control_id, event,
    message_key, digest, raw, charset, state, stage, error, report, ack_code, resources, reuses_control_id,
    resends, sent_at, is_sealed, details)
ORDER BY message_key, digest
"""
_UPDATE = """
UPDATE journal SET attempts = journal.attempts + 1, resends = journal.resends + r.resends, state = r.state,
    stage = r.stage, error = r.error, report = r.report, ack_code = r.ack_code, resources = r.resources,
    charset = r.charset, reuses_control_id = r.reuses_control_id, raw = r.raw, is_sealed = r.is_sealed,
    details = r.details
FROM unnest(%b::int8[], %b::text[], %b::text[], %t::jsonb[], %t::jsonb[], %b::text[], %t::jsonb[], %b::text[],
    %b::bool[], %b::int4[], %b::bytea[], %b::bool[], %b::bytea[])
    AS r (id, state, stage, error, report, ack_code, resources, charset, reuses_control_id, resends, raw,
    is_sealed, details)
WHERE journal.id = r.id AND journal.state = 'failed'
"""
_RESENT = """
UPDATE journal SET resends = journal.resends + r.times
FROM unnest(%b::int8[], %b::int4[]) AS r (id, times) WHERE journal.id = r.id
"""

# Messages sealed with keys that are destroyed, and those that made versions of what is erased.
_ERASE = """
DELETE FROM journal WHERE (is_sealed AND substr(raw, 4, 8) = ANY(%b)) OR EXISTS (
    SELECT FROM jsonb_array_elements_text(resources) AS e (version)
    WHERE split_part(e.version, '/_history/', 1) = ANY(%b)
)
"""


class ResentError(Exception):
    """Another process has just taken the same message."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a message the same as another; `message_key` is None when no header could be read."""

    message_key: bytes | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The row of a message that came before, if any, and whether its MSH-10 came with other content."""

    id: int | None
    state: MessageState | None
    ack_code: str | None
    reuses_control_id: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal keeps of one message; `id` is the row of an earlier attempt that failed.

    `resends` counts the copies of it that came in the same batch; `patients` are the ids of the Patients that
    it was stored for, `sent_at` is MSH-7 as written.
    """

    id: int | None
    identity: Identity
    received_at: datetime
    sender: str
    control_id: str | None
    event: str | None
    raw: bytes
    charset: str | None
    stage: str | None
    error: ExchangeError | None
    report: JsonObject | None
    ack_code: str
    resources: Sequence[str]
    reuses_control_id: bool
    resends: int
    sent_at: str
    patients: Sequence[str]

    @property
    def state(self) -> MessageState:
        """The state that the row gets."""
        return MessageState.STORED if self.error is None else MessageState.FAILED


def identify(raw: bytes, sender: str, control_id: str | None) -> Identity:
    """Return what makes the message the same as another."""
    digest = blake2b(raw, digest_size=16).digest()
    if control_id is None:
        return Identity(None, digest)
    named = f"{len(sender)} {sender}{control_id}".encode("utf-8", "surrogatepass")
    return Identity(blake2b(named, digest_size=16).digest(), digest)


def find(transaction: Transaction, identities: Sequence[Identity]) -> list[Found]:
    """Return what the journal knows of each message, in order."""
    keys = [identity.message_key for identity in identities]
    digests = [identity.digest for identity in identities]
    rows = transaction.connection.execute(_FIND, (keys, digests)).fetchall()
    found = [Found(None, None, None, reuses_control_id=False)] * len(identities)
    for ordinal, row, state, ack_code, is_reused in rows:
        found[ordinal] = Found(row, MessageState(state) if state else None, ack_code, is_reused)
    return found


def lock(transaction: Transaction, identities: Sequence[Identity]) -> None:
    """Let no other transaction decide about the same control ids until this one ends."""
    keys = {int.from_bytes(i.message_key[:4], signed=True) for i in identities if i.message_key is not None}
    transaction.connection.execute(_LOCK, (_LOCK_CLASS, list(keys)))


def write(transaction: Transaction, entries: Sequence[Entry]) -> None:
    """Write the rows of messages that were processed; raises ResentError when another process was faster."""
    new = [entry for entry in entries if entry.id is None]
    again = [entry for entry in entries if entry.id is not None]
    if new:
        _insert(transaction, new)
    if again:
        _update(transaction, again)


def erase(transaction: Transaction, _patient: str, keys: Sequence[bytes], names: Sequence[str]) -> int:
    """Remove the messages of an erased patient: by the data keys, or what they made; return how many."""
    return transaction.connection.execute(_ERASE, (list(keys), list(names))).rowcount


def count_resends(transaction: Transaction, times: dict[int, int]) -> None:
    """Add to the resends of rows by id."""
    if times:
        rows = sorted(times)
        transaction.connection.execute(_RESENT, (rows, [times[row] for row in rows]))


def _insert(transaction: Transaction, entries: Sequence[Entry]) -> None:
    kept = envelopes(transaction.connection, [_message(entry) for entry in entries])
    columns = (
        [entry.received_at for entry in entries],
        [_clean(entry.sender) for entry in entries],
        [_clean(entry.control_id) for entry in entries],
        [_clean(entry.event) for entry in entries],
        [entry.identity.message_key for entry in entries],
        [entry.identity.digest for entry in entries],
        [each.raw for each in kept],
        [entry.charset for entry in entries],
        [entry.state for entry in entries],
        [entry.stage for entry in entries],
        [_json(each.error) for each in kept],
        [_json(each.report) for each in kept],
        [entry.ack_code for entry in entries],
        [_json(entry.resources) for entry in entries],
        [entry.reuses_control_id for entry in entries],
        [entry.resends for entry in entries],
        [(_clean(entry.sent_at) or "")[:_LONGEST_TIME] or None for entry in entries],
        [each.is_sealed for each in kept],
        [each.details for each in kept],
    )
    try:
        transaction.connection.execute(_INSERT, columns)
    except UniqueViolation as error:
        raise ResentError from error


def _update(transaction: Transaction, entries: Sequence[Entry]) -> None:
    ordered = sorted(entries, key=lambda entry: entry.id or 0)
    kept = envelopes(transaction.connection, [_message(entry) for entry in ordered])
    columns = (
        [entry.id for entry in ordered],
        [entry.state for entry in ordered],
        [entry.stage for entry in ordered],
        [_json(each.error) for each in kept],
        [_json(each.report) for each in kept],
        [entry.ack_code for entry in ordered],
        [_json(entry.resources) for entry in ordered],
        [entry.charset for entry in ordered],
        [entry.reuses_control_id for entry in ordered],
        [entry.resends for entry in ordered],
        [each.raw for each in kept],
        [each.is_sealed for each in kept],
        [each.details for each in kept],
    )
    if transaction.connection.execute(_UPDATE, columns).rowcount != len(ordered):
        raise ResentError


def _message(entry: Entry) -> Message:
    scope = f"Patient/{entry.patients[0]}" if len(entry.patients) == 1 else SYSTEM
    return Message(entry.identity.digest, scope, entry.raw, _error(entry.error), entry.report)


def _error(error: ExchangeError | None) -> JsonObject | None:
    if error is None:
        return None
    described = {
        "class": type(error).__name__,
        "message": _clean(error.message),
        "condition": error.condition,
        "location": _clean(error.location),
        "expression": _clean(error.expression),
    }
    return {name: value for name, value in described.items() if value}


def _json(value: JsonObject | Sequence[str] | None) -> str | None:
    return orjson.dumps(value).decode() if value else None


def _clean(value: str | None) -> str | None:
    """Return text that a column takes: no NUL, no lone surrogates, not without end."""
    if value is None:
        return None
    if value.isascii() and "\x00" not in value:
        return value[:_LONGEST_TEXT]
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")[:_LONGEST_TEXT]
