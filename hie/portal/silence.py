"""Whether a sender has fallen silent, judged by its own habits.

Pure. The rule: a sender is silent when it has said nothing for longer than one and
a half times its usual gap, and for at least one hour. The usual gap is the
second-longest gap between those of its messages that are looked at, so that nights,
weekends and a clinic's closing days are usual, and one earlier failure does not
hide the next. With fewer than twenty messages nothing is judged. This is an
operator's hint of ours, no published method.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

SECOND_LONGEST: Final = 2
FACTOR: Final = 1.5
SHORTEST: Final = timedelta(hours=1)
FEWEST: Final = 20


class Voice(StrEnum):
    """What can be said of a sender."""

    HEARD = "heard"
    SILENT = "silent"
    UNJUDGED = "unjudged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The voice of a sender, when it was last heard, and its usual gap (None: not judged)."""

    voice: Voice
    last: datetime | None
    usual_gap: timedelta | None


def judge(times: Iterable[datetime], now: datetime) -> Judgement:
    """Return the judgement at `now` from aware times of a sender's messages, in any order.

    Times after `now` count as `now`: a sender's clock may run ahead.
    """
    heard = sorted(min(time, now) for time in times)
    last = heard[-1] if heard else None
    if last is None or len(heard) < FEWEST:
        return Judgement(Voice.UNJUDGED, last, None)
    gaps = sorted((later - earlier for earlier, later in pairwise(heard)), reverse=True)
    usual = gaps[SECOND_LONGEST - 1]
    is_silent = now - last > max(usual * FACTOR, SHORTEST)
    return Judgement(Voice.SILENT if is_silent else Voice.HEARD, last, usual)
