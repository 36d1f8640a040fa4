"""The trail of one request: what its transactions do and show, until it is recorded.

`hie.core.web.auditing` opens one for each HTTP request, in a context variable, so that whatever
transaction the request opens finds it. Work that no request asked for has none.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hie.core.access import Requester
from hie.core.audit.record import Action, Kind, Record

CURRENT: Final[ContextVar["Trail | None"]] = ContextVar("hie.audit.trail", default=None)


@dataclass(frozen=True, slots=True)
class Step:
    """One interaction within a request or within work of our own; the words are those of `Record`.

    `is_change` says that it wrote, so that it must be recorded by the transaction that it is part of.
    """

    interaction: str
    action: Action
    target: str = ""
    query: str = ""
    status: int = 200
    error: str = ""
    seen: tuple[tuple[str, str], ...] = ()
    patients: tuple[str, ...] = ()
    is_change: bool = False
    kind: Kind | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


class Trail:
    """What one request did so far."""

    __slots__ = (
        "address",
        "detail",
        "is_committed",
        "kind",
        "parameters",
        "request_id",
        "seen",
        "steps",
    )

    def __init__(self, kind: Kind, *, address: str = "", request_id: str = "") -> None:
        """Begin with nothing; `address` is the client's, `request_id` its X-Request-Id."""
        self.kind: Kind = kind
        self.address = address
        self.request_id = request_id
        self.parameters: Sequence[tuple[str, str]] = ()
        """The parameters of the search that is asked for, wherever the request has them."""
        self.detail: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []
        """Types and ids of the resources that were read."""
        self.steps: list[Step] = []
        """The interactions of a Bundle, or others that the route does not name, not yet recorded."""
        self.is_committed = False
        """Whether a transaction recorded what the request changed."""

    def note(self, **detail: str) -> None:
        """Add to what the record of the request says, as the reason of an emergency access."""
        self.detail.update(detail)

    def record(self, step: Step, requester: Requester, now: datetime) -> Record:
        """Return the record of `step`, which `requester` asked for, as done at `now`."""
        return Record(
            step.kind or self.kind,
            step.interaction,
            step.action,
            requester,
            now,
            target=step.target,
            query=step.query,
            status=step.status,
            error=step.error,
            seen=step.seen,
            patients=step.patients,
            address=self.address,
            request_id=self.request_id,
            detail={**self.detail, **step.detail},
        )


def current() -> Trail | None:
    """Return the trail of the request that is being worked, None outside of one."""
    return CURRENT.get()
