"""DTM, TS, DT, TM: points in time, with the precision they were sent in.

A time of day without offset is a time of the sender's zone. FHIR has no time of hour or minute precision:
what is missing is filled with zeros, as the IG's reference bundles do (2023110211 -> 2023-11-02T11:00:00).
Dates with separators (2023-11-02 11:00:00), which many Chinese systems send, are read as well.

HL7 v2.8 2.A.22 DTM; https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

import re
from datetime import date, datetime, tzinfo
from functools import lru_cache

from hie.core.errors import DataTypeError
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.primitives import shown
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_DTM = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})"
    r"(?:[ T]?([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(\.[0-9]{1,6})?)?)?)?)?)?"
    r"(?:([+-])([0-9]{2})(?::?([0-9]{2}))?|(Z))?\Z"
)
_WITH_SEPARATORS = re.compile(
    r"([0-9]{4})[-/]([0-9]{1,2})(?:[-/]([0-9]{1,2})"
    r"(?:[ T]\s*([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,6})?)?)?)?"
    r"\s*(?:([+-])([0-9]{2})(?::?([0-9]{2}))?|(Z))?\Z"
)
_TM = re.compile(r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(\.[0-9]{1,6})?)?)?\Z")
_DEGREES = {"Y": 4, "L": 7, "D": 10}
_DEGREES_OF_TIME = frozenset({*_DEGREES, "H", "M", "S"})
_DATE = 10
_PLAIN_DATE, _PLAIN_TIME, _PLAIN_TIME_WITH_OFFSET = (
    len("YYYYMMDD"),
    len("YYYYMMDDHHMMSS"),
    len("YYYYMMDDHHMMSS+ZZZZ"),
)
_PLAIN_SIZES = frozenset({_PLAIN_DATE, _PLAIN_TIME, _PLAIN_TIME_WITH_OFFSET})
# FHIR takes offsets up to 14:00.
_OFFSET_MINUTES_MAX = 14 * 60


def _of_text(text: str, ctx: Context) -> str | None:
    return date_time(text, ctx.sender.zone)


@datatype("DTM_dateTime", uses=(1,), of_text=_of_text)
@datatype("DT_dateTime", uses=(1,), of_text=_of_text)
def dtm_datetime(rep: Repetition, ctx: Context) -> str | None:
    """Return a FHIR dateTime; raises DataTypeError for text that is no point in time."""
    text = part(rep, 1)
    return date_time(text, ctx.sender.zone) if text else None


@datatype("TS_dateTime", uses=(1, 2), of_text=_of_text)
def ts_datetime(rep: Repetition, ctx: Context) -> str | None:
    """Return a FHIR dateTime; TS.2 (degree of precision, v2.2 to v2.4: Y, L, D) cuts it."""
    text = part(rep, 1)
    if not text:
        return None
    value = date_time(text, ctx.sender.zone)
    degree = part(rep, 2)
    if degree and degree not in _DEGREES_OF_TIME:
        ctx.drop(2, "the degree of precision is none of HL7's")
    length = _DEGREES.get(degree)
    return value[:length] if length is not None and value is not None else value


@datatype("DTM_date", uses=(1,))
@datatype("TS_date", uses=(1, 2))
@datatype("DT_date", uses=(1,))
def ts_date(rep: Repetition, ctx: Context) -> str | None:
    """Return a FHIR date: the calendar day as sent, whatever the offset."""
    value = ts_datetime(rep, ctx)
    return value[:_DATE] if value is not None else None


@datatype("DTM_instant", uses=(1,))
@datatype("TS_instant", uses=(1,))
def dtm_instant(rep: Repetition, ctx: Context) -> str | None:
    """Return a FHIR instant; raises DataTypeError for a value without time of day."""
    text = part(rep, 1)
    value = date_time(text, ctx.sender.zone) if text else None
    if value is not None and len(value) <= _DATE:
        raise DataTypeError(f"`{shown(text)}` has no time of day, which an instant needs")
    return value


@datatype("TM_time", uses=(1,))
def tm_time(rep: Repetition, _ctx: Context) -> str | None:
    """Return a FHIR time; raises DataTypeError for a bad one and for one with an offset, which FHIR lacks."""
    text = part(rep, 1)
    return time_of_day(text) if text else None


def time_of_day(text: str) -> str:
    """Return HH[MM[SS[.S]]] as HH:MM:SS; raises DataTypeError for any other text."""
    match = _TM.match(text.strip())
    if match is None:
        raise DataTypeError(f"`{shown(text)}` is not a time of day (TM)")
    hour, minute, second, fraction = match.groups(default="")
    value = f"{hour}:{minute or '00'}:{second or '00'}"
    if value > "23:59:59" or minute > "59" or second > "59":
        raise DataTypeError(f"`{shown(text)}` is not a time of day (TM)")
    return value + fraction


@lru_cache(maxsize=8192)
def date_time(text: str, zone: tzinfo) -> str | None:
    """Return the FHIR dateTime of v2 text, None when it is blank or all zeros.

    Raises DataTypeError for text that is no point in time.
    """
    return _plain(text, zone) or _written(text, zone)


def _written(text: str, zone: tzinfo) -> str | None:
    stripped = text.strip()
    match = _DTM.match(stripped) or _WITH_SEPARATORS.match(stripped)
    if match is None:
        # Systems fill an unknown date with zeros; that says nothing.
        if not stripped.strip("0") or stripped == '""':
            return None
        raise DataTypeError(f"`{shown(text)}` is not a point in time (DTM)")
    year, month, day, hour, minute, second, fraction, sign, offset_hour, offset_minute, zulu = match.groups(
        default=""
    )
    if not stripped.strip("0"):
        return None
    try:
        moment = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=zone,
        )
    except ValueError as error:
        raise DataTypeError(f"`{shown(text)}` is not a point in time (DTM): {error}") from error
    if not month:
        return year
    if not day:
        return f"{year}-{moment.month:02}"
    day_of_year = f"{year}-{moment.month:02}-{moment.day:02}"
    if not hour:
        return day_of_year
    if zulu:
        offset = "Z"
    elif sign:
        offset = _offset(sign, int(offset_hour), int(offset_minute or 0), text)
    else:
        offset = _zone_offset(moment)
    return f"{day_of_year}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}{fraction}{offset}"


def _plain(text: str, zone: tzinfo) -> str | None:
    """Return the FHIR form of YYYYMMDD or YYYYMMDDHHMMSS[+ZZZZ], as nearly all are written; None of others.

    What is no date or time of day is none of these either: the patterns say what is wrong with it.
    """
    size = len(text)
    if not text.isascii() or size not in _PLAIN_SIZES or not text[:14].isdigit():
        return None
    if size == _PLAIN_DATE:
        return _day(text)
    hour, minute, second = _hour(text[:10]), text[10:12], text[12:14]
    if hour is None or minute > "59" or second > "59":
        return None
    if size == _PLAIN_TIME:
        offset = _offset_in_hour(text[:10], zone)
        if offset is None:
            moment = datetime.fromisoformat(f"{hour}:{minute}:{second}")
            offset = _zone_offset(moment.replace(tzinfo=zone))
    else:
        offset = _written_offset(text[14:])
    return None if offset is None else f"{hour}:{minute}:{second}{offset}"


@lru_cache(maxsize=4096)
def _day(text: str) -> str | None:
    """Return YYYYMMDD as a FHIR date, None if there is no such day."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _hour(text: str) -> str | None:
    """Return YYYYMMDDHH as a FHIR dateTime begins with it, None if there is no such hour."""
    day = _day(text[:8])
    return f"{day}T{text[8:]}" if day is not None and text[8:] < "24" else None


@lru_cache(maxsize=256)
def _written_offset(text: str) -> str | None:
    """Return +ZZZZ as FHIR writes it, None if no zone has that."""
    sign, hours, minutes = text[0], text[1:3], text[3:]
    if sign not in "+-" or not text[1:].isdigit() or minutes > "59":
        return None
    return f"{sign}{hours}:{minutes}" if int(hours) * 60 + int(minutes) <= _OFFSET_MINUTES_MAX else None


@lru_cache(maxsize=4096)
def _offset_in_hour(text: str, zone: tzinfo) -> str | None:
    """Return the zone's offset in the hour YYYYMMDDHH of local time, None if it changes within."""
    begin = datetime.strptime(text, "%Y%m%d%H").replace(tzinfo=zone)
    first, last = _zone_offset(begin), _zone_offset(begin.replace(minute=59, second=59))
    return first if first == last else None


def _offset(sign: str, hours: int, minutes: int, text: str) -> str:
    if minutes > 59 or hours * 60 + minutes > _OFFSET_MINUTES_MAX:  # noqa: PLR2004 - minutes of an hour
        raise DataTypeError(f"`{shown(text)}` has an offset that no zone has")
    return f"{sign}{hours:02}:{minutes:02}"


def _zone_offset(moment: datetime) -> str:
    """Return the zone's offset at local time `moment`, to the minute.

    Before standard time zones had odd seconds (Shanghai +08:05:43 until 1901), which FHIR cannot write.
    """
    delta = moment.utcoffset()
    seconds = 0 if delta is None else round(delta.total_seconds())
    minutes = (abs(seconds) + 30) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
