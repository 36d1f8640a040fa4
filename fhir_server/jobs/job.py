"""A job as those see it who work it and those who ask for it, and what a kind of job must be able to do.

A kind is a state machine over its cursor: `step` does a piece of work that takes seconds, not
minutes, and returns the cursor from which the next step goes on. A step may be done twice (its
worker died before the cursor was saved) and must come to the same end then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from fhir_server.jobs.tables import JobState
from hie.core.access import Requester
from hie.core.audit import trail as audit
from hie.core.db.database import Database, Transaction
from hie.core.fhir.json import JsonObject


class JobStoppedError(Exception):
    """The step must end: the job was cancelled, its lease was lost, or the worker is asked to stop."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job; `claim` is the number of its lease, `cursor` None before the first step."""

    id: UUID
    kind: str
    state: JobState
    request: str
    requester: Requester
    parameters: JsonObject
    cursor: JsonObject | None
    progress: str
    output: JsonObject | None
    error: JsonObject | None
    claim: int
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None

    @property
    def is_final(self) -> bool:
        """Say whether nothing more will happen to the job."""
        return self.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: the cursor of the next, a text below 100 characters, and at the end the output."""

    cursor: JsonObject
    progress: str
    output: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a step works with: the job, its database, its folder, and the word that it must end."""

    job: Job
    database: Database
    folder: Path
    is_stopped: Callable[[], bool]

    def check(self) -> None:
        """Raise JobStoppedError when the step must end; call it every second or so."""
        if self.is_stopped():
            raise JobStoppedError

    @contextmanager
    def transaction(self, *, is_snapshot: bool = False) -> Iterator[Transaction]:
        """Open a transaction for the job's requester, without the time-out of requests.

        With `is_snapshot` all its statements see the database as it was at the first (REPEATABLE READ).
        """
        trail = audit.Trail("job")
        token = audit.CURRENT.set(trail)
        try:
            with self.database.transaction(requester=self.job.requester) as transaction:
                if is_snapshot:
                    transaction.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                transaction.connection.execute("SET LOCAL statement_timeout = 0")
                yield transaction
                transaction.note(self._audited(trail))
        finally:
            audit.CURRENT.reset(token)

    def _audited(self, trail: audit.Trail) -> audit.Step:
        """Return what the audit trail says of a transaction of the job."""
        return audit.Step(
            f"job-{self.job.kind}",
            "E",
            query=self.job.request.partition("?")[2],
            seen=tuple(trail.seen),
            is_change=True,
            detail={"job": str(self.job.id), "request": self.job.request},
        )


class JobKind(Protocol):
    """What works jobs of one kind; shared by the threads of a worker."""

    def step(self, work: Work) -> Step:
        """Do the next piece of ``work.job`` and return what it came to.

        An ExchangeError fails the job, except UnavailableError, which has the step tried again.
        """
        ...
