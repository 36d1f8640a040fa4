"""A Date, DateTime or Time plus a time-valued quantity (https://hl7.org/fhirpath/N1/#datetime-arithmetic).

A quantity that is finer than the value is first brought, rounded towards zero, to the precision of the value:
``@2014 + 24 months`` is ``@2016``.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from hie.core.fhirpath.temporal import Date, DateTime, Part, Temporal, Time, last_day
from hie.core.language_errors import FhirPathError

# Seconds of each unit: calendar words, and the definite durations of UCUM that equal them. UCUM's `a` and
# `mo` are means of 365.25 and 30.4375 days, so they are not calendar units.
_SECONDS: Final[dict[str, Decimal]] = {
    **dict.fromkeys(("week", "weeks", "wk"), Decimal(7 * 86400)),
    **dict.fromkeys(("day", "days", "d"), Decimal(86400)),
    **dict.fromkeys(("hour", "hours", "h"), Decimal(3600)),
    **dict.fromkeys(("minute", "minutes", "min"), Decimal(60)),
    **dict.fromkeys(("second", "seconds", "s"), Decimal(1)),
    **dict.fromkeys(("millisecond", "milliseconds", "ms"), Decimal("0.001")),
}
_MONTHS: Final[dict[str, int]] = {"year": 12, "years": 12, "month": 1, "months": 1}
# N1 keeps the fraction of seconds; its own suite drops that of UCUM's `s`.
_WITH_FRACTION: Final = frozenset({"second", "seconds"})
# Seconds in one of each part of a value; a year has 365 days and a month 30
# (https://hl7.org/fhirpath/N1/#datetime-arithmetic).
_PART_SECONDS: Final = (365 * 86400, 30 * 86400, 86400, 3600, 60)
_DAY_SECONDS: Final = 86400
# How many parts a month, a day, a time and a time with seconds have.
_MONTH, _DAY, _CLOCK, _SECOND = 2, 3, 3, 6
_LAST_YEAR: Final = 9999
# Beyond every span between two dates, so that no number is too large to count with.
_FARTHEST: Final = Decimal(10) ** 15

_CODES: Final = frozenset({"wk", "d", "h", "min", "s", "ms"})

# https://hl7.org/fhirpath/N1/grammar.html, rules dateTimePrecision and pluralDateTimePrecision
CALENDAR_WORDS: Final = frozenset((*_SECONDS, *_MONTHS)) - _CODES


def shifted(value: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """Return `value` later by `amount` of `unit` (a calendar word or UCUM), None beyond years 1 to 9999.

    A fraction counts only in calendar seconds. Raises FhirPathError where the unit is not one of time.
    """
    months = _MONTHS.get(unit)
    if unit not in _SECONDS and (months is None or isinstance(value, Time)):
        raise FhirPathError(f"`{unit}` cannot be added to a {value.system_name}")
    if abs(amount) > _FARTHEST:
        return None
    whole = amount if unit in _WITH_FRACTION else Decimal(int(amount))
    if months is not None:
        return _add_months(value, int(whole) * months)
    seconds = whole * _SECONDS[unit]
    return _add_to_clock(value, seconds) if isinstance(value, Time) else _add_seconds(value, seconds)


def _add_months(value: Temporal, months: int) -> Temporal | None:
    year = int(value.parts[0])
    if len(value.parts) == 1:
        return _with(value, year + int(months / 12), ())
    total = year * 12 + int(value.parts[1]) - 1 + months
    year, month = total // 12, total % 12 + 1
    if not 1 <= year <= _LAST_YEAR:
        return None
    rest = value.parts[2:]
    if rest:  # the last day of the month where the month is shorter
        rest = (min(int(rest[0]), last_day(year, month)), *rest[1:])
    return _with(value, year, (month, *rest))


def _add_seconds(value: Temporal, seconds: Decimal) -> Temporal | None:
    count = len(value.parts)
    if count < _SECOND:
        steps = int(seconds / _PART_SECONDS[count - 1])
        if count < _DAY:
            return _add_months(value, steps if count == _MONTH else steps * 12)
        seconds = Decimal(steps * _PART_SECONDS[count - 1])
    clock = value.parts[3:]
    total = _clock_seconds(clock) + seconds
    days = int(total // _DAY_SECONDS)
    total -= days * _DAY_SECONDS
    if total < 0:
        days, total = days - 1, total + _DAY_SECONDS
    first = date(int(value.parts[0]), int(value.parts[1]), int(value.parts[2])).toordinal() + days
    if not 1 <= first <= date.max.toordinal():
        return None
    day = date.fromordinal(first)
    return _with(value, day.year, (day.month, day.day, *_clock_parts(total, len(clock))), total)


def _add_to_clock(value: Time, seconds: Decimal) -> Time:
    count = len(value.parts)
    if count < _CLOCK:
        one = _PART_SECONDS[count + 2]
        seconds = Decimal(int(seconds / one) * one)
    total = (_clock_seconds(value.parts) + seconds) % _DAY_SECONDS  # a clock goes round
    if total < 0:
        total += _DAY_SECONDS
    return Time(_clock_parts(total, count), _digits(value, total))


def _with(
    value: Temporal, year: int, parts: tuple[Part, ...], seconds: Decimal | None = None
) -> Temporal | None:
    if not 1 <= year <= _LAST_YEAR:
        return None
    kind = DateTime if isinstance(value, DateTime) else Date
    digits = value.digits if seconds is None or len(parts) < _SECOND - 1 else _digits(value, seconds)
    return kind((year, *parts), digits, value.zone)


def _clock_seconds(clock: tuple[Part, ...]) -> Decimal:
    return sum((Decimal(part) * one for part, one in zip(clock, (3600, 60, 1), strict=False)), Decimal(0))


def _clock_parts(seconds: Decimal, count: int) -> tuple[Part, ...]:
    minutes = int(seconds // 60)
    return (minutes // 60, minutes % 60, seconds - minutes * 60)[:count]


def _digits(value: Temporal, seconds: Decimal) -> int:
    exponent = seconds.normalize().as_tuple().exponent
    return max(value.digits, -exponent if isinstance(exponent, int) else 0)
