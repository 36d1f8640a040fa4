"""Public holidays of China as far as they empty outpatient departments.

It is not a working-day calendar: the moved working days (调休) that the State
Council announces each year are not in it, and years outside 2018-2040 have their
solar holidays only. Dates of 春节 (first of the first month), 端午 (5/5) and 中秋
(8/15) were computed with the package lunardate 0.3.0; those of 2018-2026 agree with
the notices collected in chinesecalendar 1.11.0.
"""

from datetime import date, timedelta
from functools import cache

_LUNAR: dict[int, tuple[str, str, str]] = {
    2018: ("02-16", "06-18", "09-24"),
    2019: ("02-05", "06-07", "09-13"),
    2020: ("01-25", "06-25", "10-01"),
    2021: ("02-12", "06-14", "09-21"),
    2022: ("02-01", "06-03", "09-10"),
    2023: ("01-22", "06-22", "09-29"),
    2024: ("02-10", "06-10", "09-17"),
    2025: ("01-29", "05-31", "10-06"),
    2026: ("02-17", "06-19", "09-25"),
    2027: ("02-06", "06-09", "09-15"),
    2028: ("01-26", "05-28", "10-03"),
    2029: ("02-13", "06-16", "09-22"),
    2030: ("02-03", "06-05", "09-12"),
    2031: ("01-23", "06-24", "10-01"),
    2032: ("02-11", "06-12", "09-19"),
    2033: ("01-31", "06-01", "09-08"),
    2034: ("02-19", "06-20", "09-27"),
    2035: ("02-08", "06-10", "09-16"),
    2036: ("01-28", "05-30", "10-04"),
    2037: ("02-15", "06-18", "09-24"),
    2038: ("02-04", "06-07", "09-13"),
    2039: ("01-24", "05-27", "10-02"),
    2040: ("02-12", "06-14", "09-20"),
}
_SPRING_FESTIVAL_DAYS = range(-1, 7)
"""New Year's Eve to the sixth day."""
_LABOUR_DAYS = range(1, 6)
_NATIONAL_DAYS = range(1, 8)


@cache
def holidays(year: int) -> frozenset[date]:
    """Return the public holidays of `year`."""
    days = {date(year, 1, 1), date(year, 4, 5)}
    days.update(date(year, 5, day) for day in _LABOUR_DAYS)
    days.update(date(year, 10, day) for day in _NATIONAL_DAYS)
    if year in _LUNAR:
        spring, *single = (date.fromisoformat(f"{year}-{text}") for text in _LUNAR[year])
        days.update(spring + timedelta(days=offset) for offset in _SPRING_FESTIVAL_DAYS)
        days.update(single)
    return frozenset(days)


def is_holiday(day: date) -> bool:
    """Say whether `day` is a public holiday."""
    return day in holidays(day.year)
