"""A daily series as a drawing: bars for cases, a line for the threshold, marks for alarms.

Pure geometry in the units of an SVG view box; the template draws it. A day without
a threshold interrupts the line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from analytics.board import DayCount

WIDTH: Final = 720
HEIGHT: Final = 190
_LEFT: Final = 40
_RIGHT: Final = 8
_TOP: Final = 16
_BOTTOM: Final = 24
# The share of a day's width that its bar takes.
_BAR: Final = 0.72
_STEPS: Final = (1, 2, 5, 10)
_MOST_TICKS: Final = 4
_MONDAY: Final = 0
_HALF_LABEL: Final = 18
_WEEKS_BETWEEN_LABELS: Final = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: its rectangle, the middle of it, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    day: DayCount


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a coordinate of its axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The drawing; `lines` are the pieces of the threshold as points of a polyline."""

    bars: tuple[Bar, ...]
    lines: tuple[str, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]

    @property
    def base(self) -> int:
        """Where the bars stand."""
        return HEIGHT - _BOTTOM

    @property
    def left(self) -> int:
        """Where the bars begin."""
        return _LEFT

    @property
    def right(self) -> int:
        """Where the bars end."""
        return WIDTH - _RIGHT


def draw(days: Sequence[DayCount]) -> Chart:
    """Return the drawing of consecutive days, oldest first; an empty series has no bars."""
    top = max((max(day.cases, day.upperbound or 0) for day in days), default=0)
    step = tick_step(top)
    ceiling = max(step, -(-top // step) * step)
    scale = (HEIGHT - _TOP - _BOTTOM) / ceiling
    width = (WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    base = HEIGHT - _BOTTOM
    bars = tuple(
        Bar(
            x=round(_LEFT + number * width + width * (1 - _BAR) / 2, 2),
            y=round(base - day.cases * scale, 2),
            width=round(width * _BAR, 2),
            height=round(day.cases * scale, 2),
            middle=round(_LEFT + (number + 0.5) * width, 2),
            day=day,
        )
        for number, day in enumerate(days)
    )
    rows = tuple(
        Tick(round(base - value * scale, 2), str(value)) for value in range(0, int(ceiling) + 1, step)
    )
    return Chart(bars, _lines(bars, base, scale), rows, _columns(bars))


def tick_step(top: float) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50 ... that reaches `top` in at most four steps."""
    decade = 1
    while True:
        for step in _STEPS:
            if step * decade * _MOST_TICKS >= top:
                return step * decade
        decade *= 10


def _lines(bars: Sequence[Bar], base: float, scale: float) -> tuple[str, ...]:
    pieces: list[list[str]] = [[]]
    for bar in bars:
        if bar.day.upperbound is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{bar.middle},{round(base - bar.day.upperbound * scale, 2)}")
    return tuple(" ".join(piece) for piece in pieces if len(piece) > 1)


def _columns(bars: Sequence[Bar]) -> tuple[Tick, ...]:
    """Return a label for every second Monday, the newest first counted, where a label has room."""
    widest = WIDTH - _HALF_LABEL
    mondays = [bar for bar in reversed(bars) if bar.day.day.weekday() == _MONDAY and bar.middle < widest]
    return tuple(Tick(bar.middle, _label(bar.day.day)) for bar in mondays[::_WEEKS_BETWEEN_LABELS])


def _label(day: date) -> str:
    return f"{day:%m-%d}"
