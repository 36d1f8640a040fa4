"""Injected outbreaks: one in progress when the simulated days end, and some past ones in the history.

They are the truth a detector is measured by; nothing else in the counts knows them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from hie.simulator.institutions import Catchment, Institution
from hie.simulator.seeding import stream

_DAYS_IN_PROGRESS = 12
_GROWTH = 1.18
"""Daily growth of the outbreak in progress."""
_CASES_A_THOUSAND = 0.012
_FEWEST_CASES = 36
_PAST = (
    ("diarrhoea", 0.75, 16),
    ("hfmd", 1.5, 28),
    ("influenza", 2.2, 30),
    ("dysentery", 3.3, 14),
    ("chickenpox", 4.1, 24),
)
"""Condition, years before the first simulated day, days of each past outbreak."""


@dataclass(frozen=True, slots=True)
class Outbreak:
    """Extra cases of one condition in one division; `daily` has (institution code, cases) from `first` on."""

    id: str
    condition: str
    division: str
    first: date
    daily: tuple[tuple[tuple[str, int], ...], ...] = field(repr=False)
    in_progress: bool = False

    @property
    def last(self) -> date:
        """The last day with injected cases known to the city."""
        return self.first + timedelta(days=len(self.daily) - 1)

    @property
    def size(self) -> int:
        """How many cases are injected in all."""
        return sum(cases for day in self.daily for _, cases in day)

    def cases(self, day: date) -> Iterator[tuple[str, int]]:
        """Yield (institution code, cases) injected on `day`."""
        place = (day - self.first).days
        if 0 <= place < len(self.daily):
            yield from self.daily[place]


def outbreak_in_progress(seed: int, people: int, catchment: Catchment, end: date, days: int) -> Outbreak:
    """Return a norovirus-like outbreak in 中牟县 that still grows on `end`."""
    span = min(_DAYS_IN_PROGRESS, max(2, days - 1))
    total = max(_FEWEST_CASES, round(people * _CASES_A_THOUSAND))
    weights = [_GROWTH**place for place in range(span)]
    return _outbreak(
        seed,
        "OB-0001",
        "diarrhoea",
        "410122",
        end - timedelta(days=span - 1),
        weights,
        total,
        catchment,
        in_progress=True,
    )


def past_outbreaks(seed: int, people: int, catchment: Catchment, start: date) -> tuple[Outbreak, ...]:
    """Return outbreaks of the five years before `start`, each rising and falling within weeks."""
    found = []
    divisions = ("410181", "410105", "410103", "410183", "410185")
    for place, ((condition, years, days), division) in enumerate(zip(_PAST, divisions, strict=True)):
        first = start - timedelta(days=round(years * 365.25))
        weights = [math.sin(math.pi * (day + 1) / (days + 1)) ** 2 for day in range(days)]
        total = max(_FEWEST_CASES, round(people * _CASES_A_THOUSAND * 1.5))
        found.append(
            _outbreak(seed, f"OB-H{place + 1:03d}", condition, division, first, weights, total, catchment)
        )
    return tuple(found)


def _outbreak(
    seed: int,
    name: str,
    condition: str,
    division: str,
    first: date,
    weights: list[float],
    total: int,
    catchment: Catchment,
    *,
    in_progress: bool = False,
) -> Outbreak:
    draws = stream(seed, "outbreak", name)
    places = _places(catchment, division)
    shares = [_PULL.get(place.tier, 1.0) for place in places]
    left = 0.0
    daily = []
    for weight in weights:
        left += total * weight / sum(weights)
        cases = int(left)
        left -= cases
        chosen = draws.choices(places, weights=shares, k=cases)
        daily.append(
            tuple((place.code, chosen.count(place)) for place in places if place in chosen),
        )
    return Outbreak(name, condition, division, first, tuple(daily), in_progress)


_PULL = {"二级": 4.0, "一级": 2.0}


def _places(catchment: Catchment, division: str) -> tuple[Institution, ...]:
    return (*catchment.clinics[division], *catchment.local_hospitals[division]) or catchment.tertiary
