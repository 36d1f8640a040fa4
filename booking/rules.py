"""Rules of appointments: pure functions of facts and the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hie.core.errors import RequestError

# Booking windows of 7, 14 or 90 days are all in use, so the window is a parameter; a slot that has begun is
# never bookable.
DEFAULT_WINDOW: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time [starts_at, ends_at), aware."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a slot may be booked now, with the reason when it may not."""

    is_allowed: bool
    reason: str = ""


def divide(session: Stretch, length: timedelta) -> list[Stretch]:
    """Return the slots of `length` that fit into `session`, without gaps; a rest that is shorter is left out.

    Raises RequestError when `length` is not positive or the session ends before it begins.
    """
    if length <= timedelta(0):
        raise RequestError(f"A slot of {length} has no length")
    if session.ends_at < session.starts_at:
        raise RequestError(f"The session ends at {session.ends_at}, before it begins")
    count = (session.ends_at - session.starts_at) // length
    starts = [session.starts_at + number * length for number in range(count)]
    return [Stretch(start, start + length) for start in starts]


def may_book(starts_at: datetime, *, now: datetime, window: timedelta = DEFAULT_WINDOW) -> Decision:
    """Return whether a slot that begins at `starts_at` may be booked at `now`."""
    if starts_at <= now:
        return Decision(is_allowed=False, reason="the slot has begun")
    if starts_at > now + window:
        return Decision(is_allowed=False, reason=f"the slot opens {window.days} days before it begins")
    return Decision(is_allowed=True)
