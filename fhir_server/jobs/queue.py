"""The statements of jobs: enqueue, read, claim, save, end. Each works in the caller's transaction.

Leases are counted by the database's clock, which all workers share.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from fhir_server.jobs.job import Job, JobStoppedError, Step
from fhir_server.jobs.tables import JobState
from hie.core.access import SYSTEM, Requester
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, NotFoundError, operation_outcome
from hie.core.fhir.json import JsonObject, dumps

# More claims than this without a saved step, and the job itself is what ends its workers.
MAXIMUM_ATTEMPTS: Final = 10
_PROGRESS_LENGTH: Final = 100  # https://hl7.org/fhir/uv/bulkdata/STU2/export.html: less than 100 characters

_COLUMNS: Final = (
    "id, kind, state, request, requester, parameters, cursor, progress, output,"
    " error, claim, attempts, created_at, finished_at, expires_at"
)

_ENQUEUE: Final = """
INSERT INTO job
    (id, kind, state, request, requester, parameters, progress, claim, attempts, created_at)
VALUES (%s, %s, 'queued', %s, %s, %s, 'waiting for a worker', 0, 0, %s)
"""

_CLAIM: Final = f"""
UPDATE job SET state = 'running', claim = claim + 1, attempts = attempts + 1,
    leased_until = clock_timestamp() + %s
WHERE id = (
    SELECT id FROM job
    WHERE kind = ANY(%s) AND (state = 'queued' OR state = 'running' AND leased_until < clock_timestamp())
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING {_COLUMNS}
"""  # noqa: S608 - our columns

_HELD: Final = "id = %s AND claim = %s AND state = 'running'"

_RENEW: Final = f"UPDATE job SET leased_until = clock_timestamp() + %s WHERE {_HELD}"  # noqa: S608 - our text

_RELEASE: Final = f"""
UPDATE job SET leased_until = clock_timestamp() + %s, progress = %s WHERE {_HELD}
"""  # noqa: S608 - our text

_SAVE: Final = f"""
UPDATE job SET cursor = %s, progress = %s, output = %s, attempts = 0, state = %s, finished_at = %s,
    expires_at = %s, leased_until = CASE WHEN %s THEN NULL ELSE leased_until END
WHERE {_HELD}
"""  # noqa: S608 - our text

_KEEP: Final = f"UPDATE job SET cursor = %s, progress = %s, attempts = 0 WHERE {_HELD}"  # noqa: S608 - our text

_FAIL: Final = f"""
UPDATE job SET state = 'failed', progress = 'failed', error = %s, finished_at = %s, expires_at = %s,
    leased_until = NULL
WHERE {_HELD}
"""  # noqa: S608 - our text


def enqueue(
    transaction: Transaction,
    *,
    kind: str,
    request: str,
    parameters: JsonObject,
    now: datetime,
    identity: UUID,
) -> UUID:
    """Add a job for the transaction's requester and return its id; `request` is the URL that asked for it."""
    who = transaction.requester
    transaction.connection.execute(
        _ENQUEUE,
        (
            identity,
            kind,
            request,
            Jsonb(who.as_json(), dumps=dumps),
            Jsonb(parameters, dumps=dumps),
            now,
        ),
    )
    return identity


def read(transaction: Transaction, identity: UUID) -> Job:
    """Return the job; raises NotFoundError for one that is unknown, cancelled or another requester's."""
    row = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM job WHERE id = %s AND state <> 'cancelled'",  # noqa: S608 - our columns
        (identity,),
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no job `{identity}`")
    job = _job(row)
    if transaction.requester != SYSTEM and not transaction.requester.is_party(job.requester):
        raise NotFoundError(f"There is no job `{identity}`")
    return job


def cancel(transaction: Transaction, identity: UUID) -> None:
    """Cancel the job or give up its result; its worker stops, its files go. Raises NotFoundError."""
    read(transaction, identity)
    transaction.connection.execute(
        "UPDATE job SET state = 'cancelled', output = NULL, expires_at = clock_timestamp() WHERE id = %s",
        (identity,),
    )


def claim(transaction: Transaction, kinds: Sequence[str], lease: timedelta) -> Job | None:
    """Take the oldest job of `kinds` that nobody works, for `lease`; None when there is none."""
    row = transaction.connection.execute(_CLAIM, (lease, list(kinds))).fetchone()
    return None if row is None else _job(row)


def renew(transaction: Transaction, job: Job, lease: timedelta) -> bool:
    """Hold the job for another `lease`; False when it is no longer this worker's."""
    changed = transaction.connection.execute(_RENEW, (lease, job.id, job.claim))
    return changed.rowcount == 1


def release(transaction: Transaction, job: Job, wait: timedelta, progress: str) -> None:
    """Give the job back, to be claimed after `wait`."""
    transaction.connection.execute(
        _RELEASE,
        (wait, progress[:_PROGRESS_LENGTH], job.id, job.claim),
    )


def save(transaction: Transaction, job: Job, step: Step, *, now: datetime, retention: timedelta) -> bool:
    """Save what `step` came to; with output the job is done. Return False when the lease is lost."""
    is_done = step.output is not None
    changed = transaction.connection.execute(
        _SAVE,
        (
            Jsonb(step.cursor, dumps=dumps),
            step.progress[:_PROGRESS_LENGTH],
            Jsonb(step.output, dumps=dumps) if is_done else None,
            JobState.DONE if is_done else JobState.RUNNING,
            now if is_done else None,
            now + retention if is_done else None,
            is_done,
            job.id,
            job.claim,
        ),
    )
    return changed.rowcount == 1


def keep(transaction: Transaction, job: Job, step: Step) -> None:
    """Save the cursor of `step` in the transaction that did it, so that it is done once.

    The last statement of its transaction: the lease is renewed on the same row. Raises
    JobStoppedError when the lease is lost, so that nothing of the step stays.
    """
    changed = transaction.connection.execute(
        _KEEP, (Jsonb(step.cursor, dumps=dumps), step.progress[:_PROGRESS_LENGTH], job.id, job.claim)
    )
    if changed.rowcount != 1:
        raise JobStoppedError


def after(job: Job, step: Step) -> Job:
    """Return `job` as it is after `step` was saved."""
    return replace(job, cursor=step.cursor, progress=step.progress, attempts=0)


def fail(
    transaction: Transaction, job: Job, error: ExchangeError, *, now: datetime, retention: timedelta
) -> None:
    """End the job with `error`, which the status request then answers."""
    kept = {"status": int(error.status), "outcome": operation_outcome(error)}
    transaction.connection.execute(
        _FAIL,
        (Jsonb(kept, dumps=dumps), now, now + retention, job.id, job.claim),
    )


def expired(transaction: Transaction, now: datetime) -> list[UUID]:
    """Return the jobs whose result is due to be removed and that nobody works."""
    rows = transaction.connection.execute(
        "SELECT id FROM job WHERE (expires_at < %s OR state = 'cancelled')"
        " AND (state IN ('done', 'failed') OR leased_until IS NULL OR leased_until < clock_timestamp())",
        (now,),
    )
    return [row[0] for row in rows]


def remove(transaction: Transaction, identities: Sequence[UUID]) -> None:
    """Remove the jobs and their parts."""
    transaction.connection.execute("DELETE FROM job WHERE id = ANY(%s)", (list(identities),))


def folder_of(root: Path, identity: UUID) -> Path:
    """Return the folder of the job's files under `root`."""
    return root / str(identity)


def _job(row: tuple[Any, ...]) -> Job:
    (
        identity, kind, state, request, requester, parameters, cursor, progress, output, error, number,
        attempts, created_at, finished_at, expires_at,
    ) = row  # fmt: skip
    return Job(
        identity,
        kind,
        JobState(state),
        request,
        Requester.from_json(requester),
        parameters,
        cursor,
        progress,
        output,
        error,
        number,
        attempts,
        created_at,
        finished_at,
        expires_at,
    )
