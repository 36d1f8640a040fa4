"""The warning board: every surveilled series with its thresholds and alarms.

A series is one condition group in one division, or in the whole city. Days without
a case count as zero. Alarms are those of the EARS detectors on daily counts; what
is done about them is people's work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import isnan
from typing import TYPE_CHECKING, Final

from analytics.condition_groups import ConditionGroup, condition_groups
from analytics.queries import division_names, series
from hie.core.db.database import Transaction

if TYPE_CHECKING:
    import pandas as pd

# Days before the shown ones, so that the first shown day has a whole baseline.
_LEAD: Final = 14
# A baseline without variation would make any single case an alarm (Burkom: floor of sigma 0.5 to 1).
_MINIMUM_SIGMA: Final = 1.0
_CITY: Final = ""


@dataclass(frozen=True, slots=True)
class DayCount:
    """One day of a series: cases, the C2 threshold, and the detectors that alarm."""

    day: date
    cases: int
    upperbound: float | None
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeriesBoard:
    """One series: its group, its division ("" is the whole city), its days without gaps, oldest first."""

    group: ConditionGroup
    division: str
    division_name: str
    days: tuple[DayCount, ...]

    @property
    def alarm_days(self) -> tuple[DayCount, ...]:
        """The days with an alarm."""
        return tuple(day for day in self.days if day.alarms)


def board(transaction: Transaction, *, today: date, days: int = 90) -> list[SeriesBoard]:
    """Return the series of the last `days` days up to `today`.

    The whole city comes first for each group, then the divisions that had a
    case; groups in the order of their file.
    """
    import pandas as pd

    first = today - timedelta(days=days + _LEAD - 1)
    counted = series(transaction, first=first, last=today)
    names = division_names(transaction)
    index = pd.date_range(first, today, freq="D").date
    boards: list[SeriesBoard] = []
    for group in condition_groups():
        rows = counted[counted["condition"] == group.key]
        city = rows.groupby("day")["cases"].sum()
        boards.append(SeriesBoard(group, _CITY, "", _judge(city.reindex(index, fill_value=0), days)))
        for division, own in rows[rows["division"] != _CITY].groupby("division"):
            cases = own.set_index("day")["cases"].reindex(index, fill_value=0)
            name = names.get(str(division), str(division))
            boards.append(SeriesBoard(group, str(division), name, _judge(cases, days)))
    return boards


def _judge(cases: "pd.Series[int]", days: int) -> tuple[DayCount, ...]:
    from analytics.detectors import ears

    results: Mapping[str, pd.DataFrame] = {
        detector.name: detector.run(cases.astype("float64"), minimum_sigma=_MINIMUM_SIGMA)
        for detector in ears.DETECTORS
    }
    bounds = results["ears-c2"]["upperbound"].reindex(cases.index)
    alarms = {
        name: result["alarm"].reindex(cases.index).fillna(value=False) for name, result in results.items()
    }
    return tuple(
        DayCount(
            day=day,
            cases=int(cases[day]),
            upperbound=None if isnan(bounds[day]) else float(bounds[day]),
            alarms=tuple(name for name, alarm in alarms.items() if alarm[day]),
        )
        for day in cases.index[-days:]
    )
