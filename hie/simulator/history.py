"""Five years of daily counts before the simulated days, for analytics to load in bulk.

The same process as the visits (`epidemiology`), summed to surveillance groups; the
simulated days are not in it, so that loading both counts nothing twice. Past
outbreaks are in it and labelled in the truth file `outbreaks.csv`.
"""

from collections.abc import Iterator
from datetime import timedelta

from hie.core.ports import DailyCount
from hie.simulator.conditions import SURVEILLANCE_GROUPS
from hie.simulator.run import City

YEARS = 5
_DAYS_A_YEAR = 365.25


def rows(city: City, years: int = YEARS) -> Iterator[DailyCount]:
    """Yield cases of a surveillance group at an institution, day after day up to the city's first day.

    Days without cases have no row. `division` is the GB/T 2260 code of the institution,
    `institution` its code (MSH-4), `condition` one of `SURVEILLANCE_GROUPS`.
    """
    groups = frozenset(SURVEILLANCE_GROUPS)
    for back in range(round(years * _DAYS_A_YEAR), 0, -1):
        day = city.start - timedelta(days=back)
        sums: dict[tuple[str, str, str], int] = {}
        for count in city.epidemiology.counts(day, groups):
            key = count.institution.division, count.institution.code, count.condition.group
            sums[key] = sums.get(key, 0) + count.cases
        for (division, institution, group), cases in sums.items():
            yield DailyCount(day, division, institution, group, cases)
