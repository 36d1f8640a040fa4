"""The outbox: side effects that a transaction promises, kept by the database.

A row is written in the transaction that makes the change; the worker delivers
it after the commit, at least once, each handler behind its own savepoint.
A lost broker or worker loses nothing: undelivered rows are found again by the
next round.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, dumps

# After these many failures a row waits for an operator (`failed_at` is set).
MAXIMUM_ATTEMPTS = 10

outbox = Table(
    "outbox",
    SQLModel.metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", Text),
    Column("failed_at", DateTime(timezone=True)),
    Index("outbox_due", "due_at", postgresql_where=text("failed_at IS NULL")),
)


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """What happened: a topic and its payload; `id` is the same on every redelivery."""

    id: int
    topic: str
    payload: JsonObject


_INSERT: Final = "INSERT INTO outbox (topic, payload) SELECT %s, p FROM jsonb_array_elements(%s) AS p"

Handler = Callable[[Transaction, OutboxEvent], None]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one round: events delivered, and events that will be tried again."""

    delivered: int
    failed: int


def append(transaction: Transaction, topic: str, payloads: Sequence[JsonObject]) -> None:
    """Add one event for each of `payloads`, in order, to the caller's transaction."""
    transaction.connection.execute(*insertion(topic, payloads))


def insertion(topic: str, payloads: Sequence[JsonObject]) -> tuple[LiteralString, tuple[object, ...]]:
    """Return the INSERT that adds one event for each of `payloads`, in order, and its parameters."""
    # One document: psycopg escapes an array of JSON texts at 90 µs an event, this costs 5.
    return _INSERT, (topic, Jsonb(list(payloads), dumps=dumps))


def deliver(
    transaction: Transaction, handlers: Mapping[str, Sequence[Handler]], *, now: datetime, limit: int = 200
) -> Delivery:
    """Deliver at most `limit` due events to the handlers of their topics.

    Rows are claimed with SKIP LOCKED, so that several workers may call this at
    once. An event whose handlers all return is removed; one whose handler
    raises keeps its place with the reason and a later `due_at` (2, 4, 8 ...
    seconds, at most an hour).
    """
    rows = transaction.connection.execute(
        "SELECT id, topic, payload, attempts FROM outbox WHERE failed_at IS NULL AND due_at <= %s"
        " ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
        (now, limit),
    ).fetchall()
    delivered: list[int] = []
    for identifier, topic, payload, attempts in rows:
        event = OutboxEvent(identifier, topic, payload)
        try:
            with transaction.connection.transaction():
                for handler in handlers.get(topic, ()):
                    handler(transaction, event)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is the event's reason, kept with it
            _postpone(transaction, event, attempts + 1, now, f"{type(error).__name__}: {error}")
        else:
            delivered.append(identifier)
    transaction.connection.execute("DELETE FROM outbox WHERE id = ANY(%s)", (delivered,))
    return Delivery(len(delivered), len(rows) - len(delivered))


def _postpone(
    transaction: Transaction, event: OutboxEvent, attempts: int, now: datetime, reason: str
) -> None:
    wait = timedelta(seconds=min(3600, 2**attempts))
    transaction.connection.execute(
        "UPDATE outbox SET attempts = %s, due_at = %s, error = %s, failed_at = %s WHERE id = %s",
        (
            attempts,
            now + wait,
            reason[:2000],
            now.astimezone(UTC) if attempts >= MAXIMUM_ATTEMPTS else None,
            event.id,
        ),
    )
