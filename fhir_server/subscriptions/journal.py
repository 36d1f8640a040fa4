"""The statements of subscriptions: how each stands, its numbered events, who works it.

Each runs in the caller's transaction. Leases and waits are counted by the database's clock, which all
workers share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg.types.json import Jsonb

from fhir_server.store.arrays import Ints, Texts, Timestamps
from hie.core.access import Requester
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, dumps

# Websockets listen to it for the ids of subscriptions that have new events.
NOTIFY_CHANNEL: Final = "subscription_event"
# Held by whoever matches changes or changes what is matched: numbers follow the order of changes, and
# transactions that count for many subscriptions do not wait for each other in circles.
_MATCHING: Final = 0x5355_4253_4352_4942

_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"

_COLUMNS: Final = (
    "id, version, status, channel, resource, requester, revision, event_count, delivered,"
    " attempts, claim, error, activated_at, failed_at"
)

_REGISTER: Final = f"""
INSERT INTO subscription AS s (id, version, status, channel, resource, requester, revision,
    attempts, ends_at, due_at)
VALUES (%(id)s, %(version)s, %(status)s::text, %(channel)s, %(resource)s, %(requester)s,
    nextval('subscription_revision'), 0, %(ends)s,
    CASE WHEN %(status)s::text = 'requested' THEN clock_timestamp() END)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status,
    channel = excluded.channel, resource = excluded.resource, revision = excluded.revision,
    attempts = 0, claim = s.claim + 1, leased_until = NULL, ends_at = excluded.ends_at,
    due_at = excluded.due_at
RETURNING {_COLUMNS}
"""  # noqa: S608 - our columns

# Keeps the events of each subscription in the order given, and wakes what delivers them.
_APPEND: Final = """
WITH given AS (
    SELECT * FROM unnest(%s, %s, %s, %s, %s, %s)
        WITH ORDINALITY AS g (subscription_id, type, id, version, method, occurred_at, place)
), counted AS (
    SELECT subscription_id, count(*) AS events FROM given GROUP BY subscription_id
), raised AS (
    UPDATE subscription s SET event_count = s.event_count + c.events,
        due_at = CASE WHEN s.channel = 'rest-hook' AND s.status = 'active' AND s.attempts = 0
            THEN least(coalesce(s.due_at, clock_timestamp()), clock_timestamp()) ELSE s.due_at END
    FROM counted c WHERE s.id = c.subscription_id
    RETURNING s.id, s.channel, s.event_count - c.events AS base
), written AS (
    INSERT INTO subscription_event
        (subscription_id, number, resource_type, resource_id, resource_version, method, occurred_at)
    SELECT r.id, r.base + row_number() OVER (PARTITION BY r.id ORDER BY g.place), g.type, g.id, g.version,
        g.method, g.occurred_at
    FROM given g JOIN raised r ON r.id = g.subscription_id
)
SELECT pg_notify(%s, id) FROM raised WHERE channel = 'websocket'
"""

_CLAIM: Final = f"""
UPDATE subscription SET claim = claim + 1, leased_until = clock_timestamp() + %s
WHERE id = (
    SELECT id FROM subscription
    WHERE due_at <= clock_timestamp() AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}
"""  # noqa: S608 - our columns

_EVENTS: Final = """
SELECT number, resource_type, resource_id, resource_version, method, occurred_at FROM subscription_event
WHERE subscription_id = %s AND number BETWEEN %s AND %s ORDER BY number LIMIT %s
"""

_HELD: Final = "id = %s AND claim = %s"

_TAKEN: Final = f"""
UPDATE subscription SET delivered = greatest(delivered, least(%s, event_count)), attempts = 0, error = NULL,
    leased_until = NULL,
    due_at = CASE WHEN event_count > %s THEN clock_timestamp() ELSE clock_timestamp() + %s END
WHERE {_HELD}
"""  # noqa: S608 - our text

_POSTPONE: Final = f"""
UPDATE subscription SET attempts = attempts + 1, error = %s, leased_until = NULL,
    due_at = clock_timestamp() + %s
WHERE {_HELD}
"""  # noqa: S608 - our text

_SET_STATUS: Final = f"""
UPDATE subscription SET status = %(status)s::text, version = %(version)s, error = %(error)s, attempts = 0,
    leased_until = NULL, claim = claim + 1, revision = nextval('subscription_revision'),
    activated_at = CASE WHEN %(status)s::text = 'active' THEN clock_timestamp() ELSE activated_at END,
    failed_at = CASE WHEN %(status)s::text = 'error' THEN clock_timestamp() END,
    due_at = CASE WHEN %(status)s::text = 'active' AND channel = 'rest-hook' AND event_count > delivered
        THEN clock_timestamp()
        WHEN %(status)s::text = 'active' AND channel = 'rest-hook' THEN clock_timestamp() + %(heartbeat)s END
WHERE id = %(id)s
RETURNING {_COLUMNS}
"""  # noqa: S608 - our columns

_SKIP: Final = """
UPDATE subscription SET delivered = least(event_count, delivered + %s) WHERE id = %s RETURNING delivered
"""

_FORGET: Final = """
WITH old AS (
    DELETE FROM subscription_event WHERE occurred_at < %s RETURNING subscription_id, number
), last AS (
    SELECT subscription_id, max(number) AS number FROM old GROUP BY subscription_id
)
UPDATE subscription s SET delivered = greatest(s.delivered, l.number) FROM last l
WHERE s.id = l.subscription_id AND s.delivered < l.number
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription as the server works it; `version` is that of the resource that it was made of."""

    id: str
    version: int
    status: str
    channel: str
    resource: JsonObject
    requester: Requester
    revision: int
    event_count: int
    delivered: int
    attempts: int
    claim: int
    error: str | None
    activated_at: datetime | None
    failed_at: datetime | None

    @property
    def pending(self) -> int:
        """How many events wait for delivery."""
        return self.event_count - self.delivered


class Event(NamedTuple):
    """One event: the version of the resource that made it, and the HTTP method that made that."""

    number: int
    resource_type: str
    resource_id: str
    resource_version: int
    method: str
    occurred_at: datetime


class Found(NamedTuple):
    """An event of a subscription that has no number yet."""

    subscription_id: str
    resource_type: str
    resource_id: str
    resource_version: int
    method: str
    occurred_at: datetime


def lock_matching(transaction: Transaction) -> None:
    """Wait until nobody else matches changes or changes what is matched; released at the end."""
    transaction.connection.execute(_LOCK, (_MATCHING,))


def register(
    transaction: Transaction,
    *,
    subscription_id: str,
    version: int,
    status: str,
    channel: str,
    resource: JsonObject,
    requester: Requester,
    ends_at: datetime | None,
) -> Standing:
    """Keep what a client asked for; events and their numbers stay, and so does who asked first."""
    row = transaction.connection.execute(
        _REGISTER,
        {
            "id": subscription_id,
            "version": version,
            "status": status,
            "channel": channel,
            "resource": Jsonb(resource, dumps=dumps),
            "requester": Jsonb(requester.as_json(), dumps=dumps),
            "ends": ends_at,
        },
    ).fetchone()
    return _standing(row or ())


def remove(transaction: Transaction, subscription_id: str) -> None:
    """Forget the subscription and its events."""
    transaction.connection.execute("DELETE FROM subscription WHERE id = %s", (subscription_id,))


def find(transaction: Transaction, ids: Sequence[str]) -> dict[str, Standing]:
    """Return id -> subscription of those of `ids` that the server has registered."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE id = ANY(%s)",  # noqa: S608 - our columns
        (Texts(ids),),
    )
    return {row[0]: _standing(row) for row in rows}


def append_events(transaction: Transaction, found: Sequence[Found]) -> None:
    """Number `found` for each subscription in the order given, and wake what delivers them."""
    if not found:
        return
    transaction.connection.execute(
        _APPEND,
        (
            Texts([each.subscription_id for each in found]),
            Texts([each.resource_type for each in found]),
            Texts([each.resource_id for each in found]),
            Ints([each.resource_version for each in found]),
            Texts([each.method for each in found]),
            Timestamps([each.occurred_at for each in found]),
            NOTIFY_CHANNEL,
        ),
    )


def events(
    transaction: Transaction, subscription_id: str, first: int, last: int, *, limit: int
) -> list[Event]:
    """Return the events numbered from `first` to `last`, at most `limit`, that are still kept."""
    rows = transaction.connection.execute(_EVENTS, (subscription_id, first, last, limit))
    return [Event(*row) for row in rows]


def claim(transaction: Transaction, lease: timedelta) -> Standing | None:
    """Take the subscription that waits longest for its endpoint, for `lease`; None when there is none."""
    row = transaction.connection.execute(_CLAIM, (lease,)).fetchone()
    return None if row is None else _standing(row)


def taken(transaction: Transaction, held: Standing, number: int, *, heartbeat_seconds: int | None) -> bool:
    """Note that the endpoint has taken all up to event `number`; False when the lease is lost."""
    wait = None if heartbeat_seconds is None else timedelta(seconds=heartbeat_seconds)
    changed = transaction.connection.execute(_TAKEN, (number, number, wait, held.id, held.claim))
    return changed.rowcount == 1


def postpone(transaction: Transaction, held: Standing, wait: timedelta, error: str) -> bool:
    """Note a failed attempt, to be repeated after `wait`; False when the lease is lost."""
    changed = transaction.connection.execute(_POSTPONE, (error, wait, held.id, held.claim))
    return changed.rowcount == 1


def hold(transaction: Transaction, held: Standing) -> bool:
    """Lock the subscription until the transaction ends; False when the lease is lost."""
    row = transaction.connection.execute(
        f"SELECT 1 FROM subscription WHERE {_HELD} FOR UPDATE",  # noqa: S608 - our text
        (held.id, held.claim),
    ).fetchone()
    return row is not None


def set_status(
    transaction: Transaction,
    subscription_id: str,
    *,
    status: str,
    version: int,
    error: str | None,
    heartbeat_seconds: int | None,
) -> Standing | None:
    """Put the subscription into `status`, which its resource has as `version`; None when it is not there."""
    row = transaction.connection.execute(
        _SET_STATUS,
        {
            "id": subscription_id,
            "status": status,
            "version": version,
            "error": error,
            "heartbeat": None if heartbeat_seconds is None else timedelta(seconds=heartbeat_seconds),
        },
    ).fetchone()
    return None if row is None else _standing(row)


def sent(transaction: Transaction, subscription_id: str, number: int) -> None:
    """Note that a websocket was sent all up to event `number`."""
    transaction.connection.execute(
        "UPDATE subscription SET delivered = greatest(delivered, least(%s, event_count)) WHERE id = %s",
        (number, subscription_id),
    )


def skip(transaction: Transaction, subscription_id: str, count: int) -> int | None:
    """Give up the next `count` events that wait; return the last number given up or delivered."""
    row = transaction.connection.execute(_SKIP, (count, subscription_id)).fetchone()
    return None if row is None else row[0]


def ended(transaction: Transaction, now: datetime) -> list[Standing]:
    """Return the subscriptions whose time is over and that are not off yet."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE ends_at <= %s AND status <> 'off'",  # noqa: S608 - our columns
        (now,),
    )
    return [_standing(row) for row in rows]


def in_error(transaction: Transaction) -> list[Standing]:
    """Return the subscriptions in error, the longest first."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM subscription WHERE status = 'error' ORDER BY failed_at, id"  # noqa: S608 - our columns
    )
    return [_standing(row) for row in rows]


def forget_events(transaction: Transaction, before: datetime) -> None:
    """Remove events that occurred before that moment; numbers go on."""
    transaction.connection.execute(_FORGET, (before,))


def _standing(row: Sequence[Any]) -> Standing:
    values: tuple[Any, ...] = (*row[:5], Requester.from_json(row[5]), *row[6:])
    return Standing(*values)
