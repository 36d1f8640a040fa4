"""The least and greatest value that a partial value may stand for, and its precision.

lowBoundary(), highBoundary() and precision() are of the current build of FHIRPath
(https://build.fhir.org/ig/HL7/FHIRPath/#lowboundaryprecision-integer-decimal--date--datetime--time) and of
SQL-on-FHIR v2. The precision of a decimal is its digits after the point, of a date or time the digits that
are written. Decimals are brought to the precision as FHIR's suite has it: the low one cut, the high one
rounded half up.
"""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from hie.core.fhirpath.quantity import Quantity, fraction_digits
from hie.core.fhirpath.temporal import (
    EARLIEST_ZONE,
    LATEST_ZONE,
    Date,
    DateTime,
    Part,
    Temporal,
    Time,
    last_day,
)

_DECIMAL_DIGITS: Final = 8
_DATE_DIGITS: Final = 8
_DATE_TIME_DIGITS: Final = 17
_TIME_DIGITS: Final = 9
# A day has three parts; a fraction of a second, three digits.
_DAY_PARTS: Final = 3
_MILLISECOND_DIGITS: Final = 3
_MOST_DIGITS: Final = 28
# Digits -> number of parts; 17 and 9 have milliseconds.
_DATE_PARTS: Final = {4: 1, 6: 2, 8: 3}
_DATE_TIME_PARTS: Final = {**_DATE_PARTS, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_PARTS: Final = {2: 1, 4: 2, 6: 3, 9: 3}
_FIRST: Final[tuple[Part, ...]] = (1, 1, 1, 0, 0, Decimal(0))
_LAST: Final[tuple[Part, ...]] = (9999, 12, 31, 23, 59, Decimal("59.999"))
_WIDE: Final = Context(prec=80)


def boundary(value: Any, digits: int | None, *, is_high: bool) -> Any:
    """Return the least (or greatest) value that `value` may be, to `digits`; None where it has no such."""
    if value.__class__ is int or value.__class__ is Decimal:
        return _decimal(Decimal(value), _DECIMAL_DIGITS if digits is None else digits, is_high=is_high)
    if isinstance(value, Quantity):
        number = _decimal(value.value, _DECIMAL_DIGITS if digits is None else digits, is_high=is_high)
        return None if number is None else Quantity(number, value.unit, value.is_calendar)
    if isinstance(value, Date):
        return _date(value, _DATE_DIGITS if digits is None else digits, is_high=is_high)
    if isinstance(value, DateTime):
        return _date_time(value, _DATE_TIME_DIGITS if digits is None else digits, is_high=is_high)
    return (
        _time(value, _TIME_DIGITS if digits is None else digits, is_high=is_high)
        if isinstance(value, Time)
        else None
    )


def precision(value: Any) -> int | None:
    """Return the precision of `value`, None where it has none."""
    if value.__class__ is int:
        return 0
    if isinstance(value, Decimal):
        return fraction_digits(value)
    if isinstance(value, Temporal):
        lengths = (2, 2, 2) if isinstance(value, Time) else (4, 2, 2, 2, 2, 2)
        return sum(lengths[: len(value.parts)]) + value.digits
    return None


def _decimal(value: Decimal, digits: int, *, is_high: bool) -> Decimal | None:
    if not 0 <= digits <= _MOST_DIGITS:
        return None
    half = Decimal(5).scaleb(-fraction_digits(value) - 1)
    magnitude = abs(value)
    is_outward = is_high is not value.is_signed()
    bound = _WIDE.add(magnitude, half if is_outward else -half)
    rounding = ROUND_HALF_UP if is_outward else ROUND_DOWN
    found = bound.quantize(Decimal(1).scaleb(-digits), rounding, _WIDE)
    return found.copy_negate() if value.is_signed() else found


def _date(value: Date, digits: int, *, is_high: bool) -> Date | None:
    count = _DATE_PARTS.get(digits)
    return None if count is None else Date(_filled(value.parts, is_high=is_high)[:count])


def _date_time(value: DateTime, digits: int, *, is_high: bool) -> DateTime | None:
    count = _DATE_TIME_PARTS.get(digits)
    if count is None:
        return None
    parts = _filled(value.parts, is_high=is_high)
    zone = value.zone or (LATEST_ZONE if is_high else EARLIEST_ZONE)
    parts = _with_fraction(parts, value.digits, is_high=is_high)[:count]
    return DateTime(parts, 3 if digits == _DATE_TIME_DIGITS else 0, zone if count > _DAY_PARTS else "")


def _time(value: Time, digits: int, *, is_high: bool) -> Time | None:
    count = _TIME_PARTS.get(digits)
    if count is None:
        return None
    rest = (_LAST if is_high else _FIRST)[3 + len(value.parts) :]
    parts = _with_fraction((*value.parts, *rest), value.digits, is_high=is_high)[:count]
    return Time(parts, 3 if digits == _TIME_DIGITS else 0)


def _filled(parts: tuple[Part, ...], *, is_high: bool) -> tuple[Part, ...]:
    found = (*parts, *(_LAST if is_high else _FIRST)[len(parts) :])
    if is_high and len(parts) < _DAY_PARTS:
        return (*found[:2], last_day(int(found[0]), int(found[1])), *found[3:])
    return found


def _with_fraction(parts: tuple[Part, ...], digits: int, *, is_high: bool) -> tuple[Part, ...]:
    """Return `parts` with seconds to the millisecond: what was not written of the fraction is its bound."""
    seconds = Decimal(parts[-1])
    if is_high and digits < _MILLISECOND_DIGITS and seconds != _LAST[5]:
        seconds += Decimal("0.999").scaleb(-digits).quantize(Decimal("0.001"), ROUND_DOWN)
    return (*parts[:-1], seconds.quantize(Decimal("0.001"), ROUND_DOWN))
