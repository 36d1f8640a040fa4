"""Daily visits of every institution, for the simulated days and for the years before them alike.

One process: visits of one condition at one institution on one day are Poisson with

    mean = rate / 1000 x people served x share of the institution's tier
           x season x weekday x holiday x growth          (+ an injected outbreak)

and drawn from a stream named by the day. `history` takes the days before the
simulated ones, `visits` the simulated ones, so there is no seam between them.
It models no contagion; outbreaks are injected (`outbreaks`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache

from hie.simulator.conditions import Condition, conditions
from hie.simulator.holidays import is_holiday
from hie.simulator.institutions import CLINICS, PRIMARY, SECONDARY, TERTIARY, Institution
from hie.simulator.outbreaks import Outbreak
from hie.simulator.people import BLOCK
from hie.simulator.registry import Registry
from hie.simulator.seeding import poisson, stream

_WEEKDAYS = {
    True: (1.08, 1.02, 1.0, 1.0, 1.0, 1.0, 0.9),
    False: (1.30, 1.15, 1.08, 1.05, 1.02, 0.80, 0.60),
}
"""Monday to Sunday, for clinics (True) and hospitals (False): own choice, mean 1."""
_HOLIDAY = 0.65
_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Count:
    """The visits of one condition at one institution on one day; `outbreak` when they are injected."""

    institution: Institution
    condition: Condition
    cases: int
    outbreak: Outbreak | None = None


class Epidemiology:
    """The daily counts of a city."""

    def __init__(
        self,
        seed: int,
        registry: Registry,
        institutions: tuple[Institution, ...],
        start: date,
        outbreaks: tuple[Outbreak, ...],
    ) -> None:
        """Weigh institutions by the people they serve; growth is 1 on `start`, the first simulated day."""
        self._seed = seed
        self._start = start
        self._outbreaks = outbreaks
        self._by_code = {institution.code: institution for institution in institutions}
        self._groups = sorted({condition.group for condition in conditions().values()})
        self._means = [
            (institution, condition, mean)
            for institution in institutions
            for condition in conditions().values()
            if (mean := _mean(registry, institutions, institution, condition)) > 0
        ]

    def counts(self, day: date, groups: frozenset[str] | None = None) -> Iterator[Count]:
        """Draw the visits of `day`, institutions in order, zero counts left out.

        `groups` only leaves out what is not asked for: the counts of the others are the
        same as when everything is asked for, because each group has its own stream.
        """
        factors: dict[str, float] = {}
        streams = {
            group: stream(self._seed, "counts", group, day.isoformat())
            for group in self._groups
            if groups is None or group in groups
        }
        for institution, condition, mean in self._means:
            if condition.group not in streams:
                continue
            factor = factors.get(condition.key)
            if factor is None:
                factor = factors[condition.key] = self._factor(condition, day)
            weekday = _WEEKDAYS[institution.is_clinic][day.weekday()]
            cases = poisson(streams[condition.group], mean * factor * weekday)
            if cases:
                yield Count(institution, condition, cases)
        yield from self._injected(day, groups)

    def _injected(self, day: date, groups: frozenset[str] | None) -> Iterator[Count]:
        for outbreak in self._outbreaks:
            condition = conditions()[outbreak.condition]
            if groups is None or condition.group in groups:
                for code, cases in outbreak.cases(day):
                    yield Count(self._by_code[code], condition, cases, outbreak)

    def _factor(self, condition: Condition, day: date) -> float:
        growth = math.pow(1 + condition.trend, (day - self._start).days / _YEAR)
        holiday = _HOLIDAY if is_holiday(day) else 1.0
        return seasonal(condition.peaks, day.timetuple().tm_yday) * growth * holiday


@cache
def seasonal(peaks: tuple[tuple[float, float], ...], day_of_year: int) -> float:
    """Return the seasonal factor: exp(strength x cos) averaged over the peaks, of yearly mean 1."""
    factors = (
        math.exp(strength * math.cos(2 * math.pi * (day_of_year - peak) / _YEAR)) / _bessel(strength)
        for peak, strength in peaks
    )
    return sum(factors) / len(peaks)


def _bessel(strength: float) -> float:
    """Return I0(strength), the yearly mean of exp(strength x cos) (Abramowitz and Stegun 9.6.12)."""
    term = total = 1.0
    for order in range(1, 20):
        term *= (strength / (2 * order)) ** 2
        total += term
    return total


def _mean(
    registry: Registry, institutions: tuple[Institution, ...], institution: Institution, condition: Condition
) -> float:
    """Return the yearly mean of daily visits of `condition` at `institution`."""
    served = len(registry.blocks(institution)) * BLOCK
    if institution.tier == TERTIARY:
        share = condition.tiers["三级"] / sum(each.tier == TERTIARY for each in institutions)
    elif institution.tier in CLINICS:
        share = condition.tiers["clinic"]
    else:
        share = condition.tiers["二级"] + condition.tiers["一级"]
        if institution.tier == PRIMARY:
            share *= _PRIMARY_PULL
        elif institution.tier != SECONDARY:  # pragma: no cover - there is no other tier
            share = 0.0
    return condition.rate / 1000 * served * share


_PRIMARY_PULL = 0.8
"""A block has one local hospital of the second or first tier; first-tier ones draw less."""
