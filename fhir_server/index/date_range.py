"""The span of time that a FHIR date, dateTime or instant stands for.

A value covers its precision: ``2024-03`` is the whole month
(https://hl7.org/fhir/R4/search.html#date). Without an offset it is read in the
server's zone (Settings.time_zone), on writing and on searching alike.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from fhir_server.index.rows import OPEN_END, OPEN_START

DateRange = tuple[datetime, datetime]

# https://hl7.org/fhir/R4/datatypes.html#dateTime; minutes without seconds are
# allowed in searches (https://hl7.org/fhir/R4/search.html#date).
_DATE_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_LEAP_SECOND: Final = 60
_TO_THE_SECOND: Final = len("2024-03-01T08:30:00+08:00")
_MICROSECOND_DIGITS: Final = 6


@lru_cache(maxsize=16_384)
def date_range(text: str, zone: ZoneInfo) -> DateRange:
    """Return [start, end) in UTC of the FHIR date or dateTime `text`.

    Raises ValueError when `text` is not one. Bounds beyond the years 0001 to
    9999 become OPEN_START and OPEN_END.

    >>> start, end = date_range("2024-02", ZoneInfo("Asia/Shanghai"))
    >>> start.isoformat(), end.isoformat()
    ('2024-01-31T16:00:00+00:00', '2024-02-29T16:00:00+00:00')
    """
    if len(text) == _TO_THE_SECOND and text[10] == "T" and text[16] == text[22] == ":":
        # What most systems send, in a tenth of the time that the expression takes.
        low = _utc(datetime.fromisoformat(text))
        return low, low + _SECOND if low < OPEN_END - _SECOND else OPEN_END
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a date of FHIR")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if hour is None:
        return _days(int(year), int(month or 0), int(day or 0), zone)
    # 23:59:60 is a legal second that datetime does not know: it ends where :59 ends.
    seconds = int(second or 0)
    start = datetime(
        int(year),
        int(month),
        int(day),
        int(hour),
        int(minute),
        min(seconds, _LEAP_SECOND - 1),
        tzinfo=_zone(offset, zone),
    )
    if second is None:
        precision = _MINUTE
    elif fraction is None:
        precision = _SECOND
    else:
        digits = fraction[:_MICROSECOND_DIGITS]
        start = start.replace(microsecond=int(digits.ljust(_MICROSECOND_DIGITS, "0")))
        precision = _MICROSECOND * 10 ** (_MICROSECOND_DIGITS - len(digits))
    low = _utc(start)
    return low, low + precision if low < OPEN_END - precision else OPEN_END


def _days(year: int, month: int, day: int, zone: ZoneInfo) -> DateRange:
    start = datetime(year, month or 1, day or 1, tzinfo=zone)
    last = OPEN_END.year
    if day:
        end = None if (year, month, day) == (last, 12, 31) else start + _DAY
    elif month:
        end = (
            None
            if (year, month) == (last, 12)
            else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
        )
    else:
        end = None if year == last else datetime(year + 1, 1, 1, tzinfo=zone)
    return _utc(start), OPEN_END if end is None else _utc(end)


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return OPEN_START if value.year == 1 else OPEN_END


def _zone(offset: str | None, zone: ZoneInfo) -> ZoneInfo | timezone:
    if offset is None:
        return zone
    if offset == "Z":
        return UTC
    span = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
    return timezone(-span if offset[0] == "-" else span)
