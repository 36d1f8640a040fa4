"""How a request of a person stands and what may come next: pure, no database.

The rights are those of 个人信息保护法 (Personal Information Protection Law of the PRC) art. 45 (copy), 46
(correction) and 47 (erasure, 删除); a request that is refused is told why (art. 50). The words for how it
stands are those of a FHIR Task (https://hl7.org/fhir/R4/valueset-task-status.html).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hie.core.access import Role
from hie.core.errors import ConflictError


class Kind(StrEnum):
    """What a person asks for."""

    COPY = "copy"
    CORRECTION = "correction"
    ERASURE = "erasure"


class State(StrEnum):
    """How a request stands."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    COMPLETED = "completed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Say whether the request waits for an answer or for what was promised."""
        return self in OPEN


OPEN: Final = frozenset({State.REQUESTED, State.ACCEPTED})


class Action(StrEnum):
    """A step of a request: the first two and `disagree` are the person's, the others the desk's.

    `disagree` leaves a statement with a correction that was refused; `renew` makes a copy again that failed.
    """

    REQUEST = "request"
    CANCEL = "cancel"
    DISAGREE = "disagree"
    ACCEPT = "accept"
    REJECT = "reject"
    COMPLETE = "complete"
    RENEW = "renew"

    @property
    def is_persons(self) -> bool:
        """Say whether it is for whoever asked, and not for the desk."""
        return self in (Action.REQUEST, Action.CANCEL, Action.DISAGREE)


_NEXT: Final[Mapping[tuple[State, Action], State]] = MappingProxyType(
    {
        (State.REQUESTED, Action.ACCEPT): State.ACCEPTED,
        (State.REQUESTED, Action.REJECT): State.REJECTED,
        (State.REQUESTED, Action.CANCEL): State.CANCELLED,
        (State.ACCEPTED, Action.COMPLETE): State.COMPLETED,
        (State.ACCEPTED, Action.REJECT): State.REJECTED,
        (State.ACCEPTED, Action.CANCEL): State.CANCELLED,
        (State.ACCEPTED, Action.RENEW): State.ACCEPTED,
        (State.REJECTED, Action.DISAGREE): State.REJECTED,
    }
)
# Who may work which requests. A copy shows nothing to the desk and a correction is made by its own right to
# write; erasure is the security officer's alone.
_DESKS: Final[Mapping[Kind, frozenset[Role]]] = MappingProxyType(
    {
        Kind.COPY: frozenset({Role.CARD_DESK, Role.SECURITY_OFFICER}),
        Kind.CORRECTION: frozenset({Role.CARD_DESK, Role.SECURITY_OFFICER}),
        Kind.ERASURE: frozenset({Role.SECURITY_OFFICER}),
    }
)
DESKS: Final = frozenset().union(*_DESKS.values())
"""The roles that work requests of any kind."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to a request before, as far as it matters for what may come next."""

    kind: Kind
    state: State
    has_statement: bool = False


def following(request: Done, action: Action) -> State:
    """Return how `request` stands after `action`; raises ConflictError for one that is not possible now."""
    state = _NEXT.get((request.state, action))
    is_out_of_place = (
        (action is Action.RENEW and request.kind is not Kind.COPY)
        or (action is Action.DISAGREE and (request.kind is not Kind.CORRECTION or request.has_statement))
        # A copy is complete when its job is done.
        or (action is Action.COMPLETE and request.kind is Kind.COPY)
    )
    if state is None or is_out_of_place:
        raise ConflictError(f"A {request.kind} that is {request.state} cannot `{action}`")
    return state


def possible(request: Done) -> frozenset[Action]:
    """Return the actions that `following` permits."""
    return frozenset(each for each in Action if _is_possible(request, each))


def _is_possible(request: Done, action: Action) -> bool:
    try:
        following(request, action)
    except ConflictError:
        return False
    return True


def may_work(kind: Kind, roles: frozenset[Role]) -> bool:
    """Return whether a desk with `roles` may answer requests of `kind`."""
    return not roles.isdisjoint(_DESKS[kind])


def due(made_at: datetime, days: int) -> datetime:
    """Return until when a request must be answered. The law says "in time" (及时, art. 45, 46), no number."""
    return made_at + timedelta(days=days)


def is_overdue(state: State, due_at: datetime, now: datetime) -> bool:
    """Return whether a request should have been answered before `now`."""
    return state.is_open and due_at < now
