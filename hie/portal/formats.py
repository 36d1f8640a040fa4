"""How the portal writes times, dates, ages and numbers, in both languages.

Pure. Times come aware and are shown in the zone that they carry; who has a time
in UTC moves it to the portal's zone first.
"""

from datetime import date, datetime, timedelta
from typing import Final

from hie.portal.language import Language, say

MISSING: Final = "—"
_MONTHS_OF_YEAR: Final = 12
_MINUTE_SECONDS: Final = 60
# Below these ages a number of years says too little: children's records give months, those of newborns days.
_YEARS_WITH_MONTHS: Final = 3
_DATE_LENGTH: Final = len("2026-11-22")
_YEAR_LENGTH: Final = len("2026")


def or_missing(value: object) -> str:
    """Return the text of `value`, or the dash that stands for a missing one."""
    return MISSING if value is None or value == "" else str(value)


def day(value: date, language: Language) -> str:
    """Return a date with its day of the week: ``2026-11-22 星期日``."""
    return f"{value.isoformat()} {say(f'weekday.{value.weekday()}', language)}"


def moment(value: datetime | None) -> str:
    """Return date and time to the minute, a dash for None."""
    return MISSING if value is None else f"{value:%Y-%m-%d %H:%M}"


def duration(value: timedelta, language: Language) -> str:
    """Return a span in the two largest of days, hours and minutes: ``3天4小时``; seconds below a minute."""
    seconds = max(0, int(value.total_seconds()))
    if seconds < _MINUTE_SECONDS:
        return say("span.seconds", language, n=seconds)
    minutes = seconds // _MINUTE_SECONDS
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [("days", days), ("hours", hours), ("minutes", rest)]
    first = next(index for index, (_unit, count) in enumerate(parts) if count)
    shown = [part for part in parts[first : first + 2] if part[1]]
    return say("span.joint", language).join(say(f"span.{unit}", language, n=count) for unit, count in shown)


def age(birth_date: str, today: date, language: Language) -> str:
    """Return the age on `today`: years; with months below three years; days below one month.

    `birth_date` is a FHIR date; one without a day gives an approximate number of
    years. Empty for a birth date that is missing, unreadable or in the future.
    """
    if _YEAR_LENGTH <= len(birth_date) < _DATE_LENGTH and birth_date[:_YEAR_LENGTH].isdigit():
        years = today.year - int(birth_date[:_YEAR_LENGTH])
        return say("age.about", language, n=years) if years >= 0 else ""
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return ""
    return say_age(born, today, language) if born <= today else ""


def say_age(born: date, today: date, language: Language) -> str:
    """Return the age of someone born on `born`, which is not after `today`."""
    months = (today.year - born.year) * _MONTHS_OF_YEAR + today.month - born.month
    months -= today.day < born.day
    years, rest = divmod(months, _MONTHS_OF_YEAR)
    if months == 0:
        return say("age.days", language, n=(today - born).days)
    if years == 0:
        return say("age.months", language, n=rest)
    if years >= _YEARS_WITH_MONTHS or rest == 0:
        return say("age.years", language, n=years)
    return say("age.years-months", language, years=years, months=rest)
