"""The statements of those who look after the jobs of everybody; the workers' own are in `queue`."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from hie.core.db.database import Transaction

_COUNTS: Final = "SELECT state, count(*) FROM job GROUP BY state"

_NEWEST: Final = """
SELECT id, kind, state, progress, attempts, coalesce(leased_until > clock_timestamp(), false), created_at,
    finished_at, expires_at
FROM job
WHERE (%(states)s::text[] = '{}' OR state = ANY(%(states)s::text[]))
    AND (%(kinds)s::text[] = '{}' OR kind = ANY(%(kinds)s::text[]))
    AND (%(id)s::uuid IS NULL OR (created_at, id) < (%(created_at)s::timestamptz, %(id)s::uuid))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""

_IS_HELD: Final = "SELECT coalesce(leased_until > clock_timestamp(), false) FROM job WHERE id = %s"


class Listed(NamedTuple):
    """A job in a list; `is_held` says that a worker holds its lease."""

    id: UUID
    kind: str
    state: str
    progress: str
    attempts: int
    is_held: bool
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None


def counts(transaction: Transaction) -> dict[str, int]:
    """Return state -> how many jobs are in it."""
    return dict(transaction.connection.execute(_COUNTS).fetchall())


def newest(
    transaction: Transaction,
    *,
    states: Collection[str],
    kinds: Collection[str],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Listed]:
    """Return jobs, the newest first, those begun before `before`; empty `states` or `kinds` mean all."""
    created_at, identity = before or (None, None)
    rows = transaction.connection.execute(
        _NEWEST,
        {
            "states": list(states),
            "kinds": list(kinds),
            "created_at": created_at,
            "id": identity,
            "limit": limit,
        },
    )
    return [Listed(*row) for row in rows]


def is_held(transaction: Transaction, identity: UUID) -> bool:
    """Say whether a worker holds the lease of the job."""
    row = transaction.connection.execute(_IS_HELD, (identity,)).fetchone()
    return row is not None and bool(row[0])
