"""What an operator is shown of the work behind the FHIR interface: jobs and subscriptions.

The ports that the portal asks, and the values that cross them. None holds content of a resource: an
operator runs the exchange and reads no record. The repository implements both ports.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import UUID

from hie.core.errors import Issue

if TYPE_CHECKING:
    from hie.core.db.database import Transaction

Group = Literal["output", "deleted", "error"]


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job in a list.

    `state` is queued, running, done, failed or cancelled; `progress` the server's own words for it;
    `is_held` says that a worker holds its lease, `attempts` how often its present step was begun.
    """

    id: UUID
    kind: str
    state: str
    progress: str
    attempts: int
    is_held: bool
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobFile:
    """A result file: the type of its resources and how many, its name below the job's."""

    group: Group
    type: str
    name: str
    count: int | None


@dataclass(frozen=True, slots=True)
class JobDetails:
    """A job with the URL that asked for it, its result files, or why it failed, with the HTTP status.

    `is_own`: the requester asked for it, and may fetch its files.
    """

    summary: JobSummary
    request: str
    files: tuple[JobFile, ...]
    is_own: bool
    status: int | None
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionSummary:
    """A subscription in a list.

    `status` is of https://hl7.org/fhir/R4/valueset-subscription-status.html. `about` is the canonical of a
    topic, or the type that the criteria search; `endpoint` scheme, host and port alone, because a path may
    be a secret. `pending` events wait for delivery; `attempts` have failed since the last success, the last
    with `error`; the next is at `due_at`.
    """

    id: str
    status: str
    channel: str
    about: str
    endpoint: str
    event_count: int
    pending: int
    attempts: int
    error: str | None
    activated_at: datetime | None
    failed_at: datetime | None
    due_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event that waits for delivery: the version of a resource, and the method that made it."""

    number: int
    resource_type: str
    resource_id: str
    resource_version: int
    method: str
    occurred_at: datetime


class JobOversight(Protocol):
    """The jobs of all requesters. Every method raises ForbiddenError where the access policy says so."""

    def counts(self, transaction: "Transaction") -> Mapping[str, int]:
        """Return how many jobs are in each state; states without any are left out."""
        ...

    def jobs(
        self,
        transaction: "Transaction",
        *,
        states: Collection[str],
        kinds: Collection[str],
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[JobSummary]:
        """Return jobs, the newest first, those begun before the job `before`; no `states` means all."""
        ...

    def job(self, transaction: "Transaction", identity: str) -> JobDetails:
        """Return one job; raises NotFoundError."""
        ...

    def cancel(self, transaction: "Transaction", identity: str) -> None:
        """Cancel a job or give up its result; raises NotFoundError."""
        ...


class SubscriptionOversight(Protocol):
    """The subscriptions that the server works. Every method raises ForbiddenError like those of jobs."""

    def counts(self, transaction: "Transaction") -> Mapping[str, int]:
        """Return how many subscriptions are in each status; statuses without any are left out."""
        ...

    def subscriptions(
        self, transaction: "Transaction", *, statuses: Collection[str], after: str | None, limit: int
    ) -> Sequence[SubscriptionSummary]:
        """Return subscriptions by id, those after the id `after`; no `statuses` means all."""
        ...

    def subscription(self, transaction: "Transaction", identity: str) -> SubscriptionSummary:
        """Return one subscription; raises NotFoundError."""
        ...

    def pending(
        self, transaction: "Transaction", identity: str, *, after: int, limit: int
    ) -> Sequence[PendingEvent]:
        """Return events numbered above `after` that wait for delivery, in order; raises NotFoundError."""
        ...

    def redrive(self, transaction: "Transaction", identity: str, *, skip: int) -> SubscriptionSummary:
        """Have a subscription in error told of what waits, without the next `skip` events.

        Raises NotFoundError, and ConflictError where it is not in error or is being changed.
        """
        ...
