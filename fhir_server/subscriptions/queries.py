"""The statements of those who look after subscriptions; those of the server's own work are in `journal`."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject

_COUNTS: Final = "SELECT status, count(*) FROM subscription GROUP BY status"

_COLUMNS: Final = (
    "id, status, channel, resource, event_count, event_count - delivered, delivered, attempts, error,"
    " activated_at, failed_at, due_at, ends_at"
)

_BY_ID: Final = f"""
SELECT {_COLUMNS} FROM subscription
WHERE (%(statuses)s::text[] = '{{}}' OR status = ANY(%(statuses)s::text[]))
    AND (%(after)s::text IS NULL OR id > %(after)s::text COLLATE "C")
ORDER BY id LIMIT %(limit)s
"""  # noqa: S608 - our columns

_ONE: Final = f"SELECT {_COLUMNS} FROM subscription WHERE id = %s"  # noqa: S608 - our columns


class Listed(NamedTuple):
    """A subscription as it is worked: `pending` events above `delivered` wait, to be sent at `due_at`."""

    id: str
    status: str
    channel: str
    resource: JsonObject
    event_count: int
    pending: int
    delivered: int
    attempts: int
    error: str | None
    activated_at: datetime | None
    failed_at: datetime | None
    due_at: datetime | None
    ends_at: datetime | None


def counts(transaction: Transaction) -> dict[str, int]:
    """Return status -> how many subscriptions are in it."""
    return dict(transaction.connection.execute(_COUNTS).fetchall())


def by_id(
    transaction: Transaction, *, statuses: Collection[str], after: str | None, limit: int
) -> list[Listed]:
    """Return subscriptions by id, those after the id `after`; empty `statuses` mean all."""
    rows = transaction.connection.execute(
        _BY_ID, {"statuses": list(statuses), "after": after, "limit": limit}
    )
    return [Listed(*row) for row in rows]


def one(transaction: Transaction, identity: str) -> Listed | None:
    """Return the subscription, None where the server works none of that id."""
    row = transaction.connection.execute(_ONE, (identity,)).fetchone()
    return None if row is None else Listed(*row)
