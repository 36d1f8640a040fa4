"""Date, DateTime and Time of FHIRPath: partial values with their precision, compared without guessing.

A value has as many parts as were written: ``@2014-01`` is a month, not its first day. Seconds carry their
fraction, so seconds and milliseconds are one precision (https://hl7.org/fhirpath/N1/#datetime-equality).
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, Final, Self

_CLOCK = r"(?P<hour>\d{2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.(?P<fraction>\d+))?))?)?"
_TIME: Final = re.compile(_CLOCK, re.ASCII)
_DATE_TIME: Final = re.compile(
    rf"(?P<year>\d{{4}})(?:-(?P<month>\d{{2}})(?:-(?P<day>\d{{2}})(?P<at>T(?:{_CLOCK}(?P<zone>Z|[+-]\d{{2}}:\d{{2}})?)?)?)?)?T?",
    re.ASCII,
)
_DAY_MINUTES: Final = 24 * 60
_DAY: Final = 3  # parts
_FEBRUARY: Final = 28
_LENGTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS, _HOURS, _MINUTES = 12, 24, 60
_SECONDS: Final = 61  # one may be a leap second
_FARTHEST_ZONE: Final = 14  # hours
# Where a value has no time zone, it may be any: UTC+14:00 reaches a local time first, UTC-12:00 last.
EARLIEST_ZONE: Final = "+14:00"
LATEST_ZONE: Final = "-12:00"

Part = int | Decimal


@dataclass(frozen=True, slots=True)
class Temporal:
    """What the three share: `parts` from the largest unit down, `digits` of a second's fraction, `zone`."""

    parts: tuple[Part, ...]
    digits: int = 0
    zone: str = ""

    system_name: ClassVar[str] = ""

    @property
    def offset(self) -> int | None:
        """Minutes ahead of UTC, None where no zone is given."""
        if not self.zone:
            return None
        if self.zone == "Z":
            return 0
        minutes = int(self.zone[1:3]) * 60 + int(self.zone[4:6])
        return -minutes if self.zone[0] == "-" else minutes

    def _clock(self, parts: tuple[Part, ...]) -> str:
        words = [f"{part:02d}" for part in parts[:2]]
        words += [f"{part:0{self.digits + 3 if self.digits else 2}.{self.digits}f}" for part in parts[2:]]
        return ":".join(words)


@dataclass(frozen=True, slots=True)
class Date(Temporal):
    """A year, a month or a day."""

    system_name: ClassVar[str] = "Date"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the date that `text` writes ("2014-01"), None where it writes none."""
        match = _DATE_TIME.fullmatch(text)
        if match is None or match["at"] or text.endswith("T"):
            return None
        parts = _day_parts(*match.group(1, 2, 3))
        return None if parts is None else cls(parts)

    def __str__(self) -> str:
        return _day_text(self.parts)


@dataclass(frozen=True, slots=True)
class DateTime(Temporal):
    """A year down to a fraction of a second, perhaps with a time zone."""

    system_name: ClassVar[str] = "DateTime"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return what `text` ("2014-01-01T08:00Z", "2014") writes, None where it writes none."""
        match = _DATE_TIME.fullmatch(text)
        if match is None:
            return None
        year, month, day, _, hour, minute, second, fraction, zone = match.groups()
        parts = _day_parts(year, month, day)
        if parts is None or hour is None:
            return None if parts is None else cls(parts)
        clock = _clock_parts(hour, minute, second)
        if clock is None or not _is_zone(zone):
            return None
        return cls(parts + clock, len(fraction) if fraction else 0, zone or "")

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """Return an aware `moment`, to the millisecond."""
        text = moment.isoformat(timespec="milliseconds")
        found = cls.parse(text[:29])  # a zone with seconds is no zone of FHIR
        if found is None or not found.zone:
            raise ValueError(f"{text} has no time zone")
        return found

    def __str__(self) -> str:
        day = _day_text(self.parts[:3])
        return f"{day}T{self._clock(self.parts[3:])}{self.zone}" if len(self.parts) > _DAY else day


@dataclass(frozen=True, slots=True)
class Time(Temporal):
    """An hour down to a fraction of a second."""

    system_name: ClassVar[str] = "Time"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the time that `text` writes ("08:00"), None where it writes none."""
        match = _TIME.fullmatch(text)
        parts = _clock_parts(*match.group(1, 2, 3)) if match else None
        return None if match is None or parts is None else cls(parts, len(match["fraction"] or ""))

    def __str__(self) -> str:
        return self._clock(self.parts)


def compare(left: Temporal, right: Temporal) -> int | None:
    """Return -1, 0 or 1 as `left` is before, the same as or after `right`; None where that is open.

    A value without a time zone against one with is compared as if it could stand in any zone. Both are times
    of day or neither is.
    """
    if isinstance(left, Time) or (not left.zone and not right.zone):
        return _compare_parts(left.parts, right.parts)
    if left.zone and right.zone:
        return _compare_parts(_utc(left), _utc(right))
    left_low, left_high = _bounds(left)
    right_low, right_high = _bounds(right)
    if left_high < right_low:
        return -1
    return 1 if left_low > right_high else None


def last_day(year: int, month: int) -> int:
    """Return the number of days of a month."""
    return _FEBRUARY + calendar.isleap(year) if month == 2 else _LENGTHS[month - 1]  # noqa: PLR2004 # February


def _compare_parts(left: tuple[Part, ...], right: tuple[Part, ...]) -> int | None:
    for one, other in zip(left, right, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left) == len(right) else None


def _utc(value: Temporal) -> tuple[Part, ...]:
    # a time zone is only ever written after an hour
    year, month, day, hour, *rest = value.parts
    minutes = date(int(year), int(month), int(day)).toordinal() * _DAY_MINUTES + int(hour) * 60
    minutes += (int(rest[0]) if rest else 0) - (value.offset or 0)
    return (minutes // 60, *((minutes % 60,) if rest else ()), *rest[1:])


def _bounds(value: Temporal) -> tuple[Decimal, Decimal]:
    """Return the first and the last minute of UTC that `value` may be."""
    first, last = list(value.parts), list(value.parts)
    for place in range(len(value.parts), 6):
        first.append((1, 1, 1, 0, 0, 0)[place])
        is_day = place == _DAY - 1
        last.append(last_day(int(last[0]), int(last[1])) if is_day else (0, 12, 0, 23, 59, 60)[place])
    ahead, behind = (14 * 60, 12 * 60) if value.offset is None else (value.offset, -value.offset)
    return _minute(first) - ahead, _minute(last) + behind


def _minute(parts: list[Part]) -> Decimal:
    day = date(int(parts[0]), int(parts[1]), int(parts[2])).toordinal()
    return Decimal(day * _DAY_MINUTES + int(parts[3]) * 60 + int(parts[4])) + Decimal(parts[5]) / 60


def _day_parts(year: str, month: str | None, day: str | None) -> tuple[Part, ...] | None:
    parts: tuple[int, ...] = (int(year),)
    if month is not None:
        parts = (parts[0], int(month)) if day is None else (parts[0], int(month), int(day))
        if not 1 <= parts[1] <= _MONTHS:
            return None
    if not parts[0] or (len(parts) == _DAY and not 1 <= parts[2] <= last_day(parts[0], parts[1])):
        return None
    return parts


def _clock_parts(hour: str, minute: str | None, second: str | None) -> tuple[Part, ...] | None:
    if int(hour) >= _HOURS:
        return None
    if minute is None:
        return (int(hour),)
    if int(minute) >= _MINUTES:
        return None
    if second is None:
        return int(hour), int(minute)
    seconds = Decimal(second)
    return (int(hour), int(minute), seconds) if seconds < _SECONDS else None


def _is_zone(zone: str | None) -> bool:
    return not zone or zone == "Z" or (int(zone[1:3]) <= _FARTHEST_ZONE and int(zone[4:6]) < _MINUTES)


def _day_text(parts: tuple[Part, ...]) -> str:
    return "-".join(f"{part:04d}" if place == 0 else f"{part:02d}" for place, part in enumerate(parts))
