"""Rows of ix_date: dates, periods and timings as spans of time.

https://hl7.org/fhir/R4/search.html#date. Of a Timing only its outer limits
take part, as that page says.
"""

from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

from fhir_server.index.date_range import DateRange, date_range
from fhir_server.index.rows import OPEN_END, OPEN_START, IndexRows
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json

Spans = Callable[[Json, ZoneInfo], DateRange | None]


def spans_of(kind: str) -> Spans | None:
    """Return what reads the span of a value of FHIR type `kind`, None where it has none."""
    return _READERS.get(kind)


def date_emit(spans: Spans, params: tuple[int, ...], zone: ZoneInfo) -> Emit:
    """Return what adds the row of a value for each of `params`."""

    def emit(value: Json, rows: IndexRows) -> None:
        span = spans(value, zone)
        if span is not None:
            for param in params:
                rows.date.append((param, *span))

    return emit


def _instant(value: Json, zone: ZoneInfo) -> DateRange | None:
    if type(value) is not str:
        return None
    try:
        return date_range(value, zone)
    except ValueError:
        return None  # not a date: what validation lets pass, search cannot find


def _period(value: Json, zone: ZoneInfo) -> DateRange | None:
    if type(value) is not dict:
        return None
    start = _instant(value.get("start"), zone)
    end = _instant(value.get("end"), zone)
    if start is None and end is None:
        return None
    low = OPEN_START if start is None else start[0]
    high = OPEN_END if end is None else end[1]
    return (low, high) if low <= high else (high, low)


def _timing(value: Json, zone: ZoneInfo) -> DateRange | None:
    if type(value) is not dict:
        return None
    events = value.get("event")
    spans = [_instant(event, zone) for event in (events if type(events) is list else ())]
    repeat = value.get("repeat")
    if type(repeat) is dict:
        spans.append(_period(repeat.get("boundsPeriod"), zone))
    known = [span for span in spans if span is not None]
    if not known:
        return None
    return min(span[0] for span in known), max(span[1] for span in known)


_READERS: Final[dict[str, Spans]] = {
    **dict.fromkeys(("date", "dateTime", "instant"), _instant),
    "Period": _period,
    "Timing": _timing,
}
