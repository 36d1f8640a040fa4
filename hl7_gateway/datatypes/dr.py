"""DR: date/time range; and every pair of start and end that becomes a Period.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-dr-to-period.html
"""

from datetime import datetime

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dtm import date_time
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part


@datatype("DR_Period", uses=(1, 2))
def dr_period(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Period from DR.1 to DR.2."""
    start, end = part(rep, 1), part(rep, 2)
    value = period(start, end, ctx)
    if value is not None:
        _drop_empty(ctx, value, (1, 2), (start, end))
    return value


@datatype("DR_dateTime", uses=(1,))
def dr_datetime(rep: Repetition, ctx: Context) -> str | None:
    """Return the start of the range."""
    text = part(rep, 1)
    return date_time(text, ctx.sender.zone) if text else None


def period(start: str, end: str, ctx: Context) -> JsonObject | None:
    """Return a Period, None when both ends are empty; raises DataTypeError for ends that make none.

    FHIR forbids a start after the end (per-1); ends of different precision are compared as far as both reach.
    """
    result: JsonObject = {}
    if start:
        value = date_time(start, ctx.sender.zone)
        if value is not None:
            result["start"] = value
    if end:
        value = date_time(end, ctx.sender.zone)
        if value is not None:
            result["end"] = value
    if len(result) == 2 and _is_after(result["start"], result["end"]):  # noqa: PLR2004 - both ends
        raise DataTypeError("The range ends before it starts")
    return result or None


def put_period(element: JsonObject, rep: Repetition, start_at: int, end_at: int, ctx: Context) -> None:
    """Set `element["period"]` from two components; ends that make no Period are dropped."""
    if len(rep) < start_at:
        return
    start, end = part(rep, start_at), part(rep, end_at)
    if not start and not end:
        return
    try:
        value = period(start, end, ctx)
    except DataTypeError as error:
        for place, text in ((start_at, start), (end_at, end)):
            if text:
                ctx.drop(place, error.message)
        return
    _drop_empty(ctx, value, (start_at, end_at), (start, end))
    if value is not None:
        element["period"] = value


def put_range(element: JsonObject, rep: Repetition, range_at: int, ctx: Context) -> None:
    """Set `element["period"]` from a DR in one component, with its ends as sub-components."""
    start, end = part(rep, range_at, 1), part(rep, range_at, 2)
    if not start and not end:
        return
    try:
        value = period(start, end, ctx)
    except DataTypeError as error:
        ctx.drop(range_at, error.message)
        return
    _drop_empty(ctx, value, (range_at, range_at), (start, end))
    if value is not None:
        element["period"] = value


def put_validity(element: JsonObject, rep: Repetition, ctx: Context, *, range_at: int, start_at: int) -> None:
    """Set the period from start and end in two components, else from the DR that older versions have."""
    if part(rep, start_at) or part(rep, start_at + 1):
        if part(rep, range_at, 1) or part(rep, range_at, 2):
            ctx.drop(range_at, "effective and expiration date stand instead of the range")
        put_period(element, rep, start_at, start_at + 1, ctx)
    elif len(rep) >= range_at:
        put_range(element, rep, range_at, ctx)


def _drop_empty(
    ctx: Context, value: JsonObject | None, places: tuple[int, int], texts: tuple[str, str]
) -> None:
    """Report ends that are filled and yet no date: zeros, blanks."""
    for place, text, name in zip(places, texts, ("start", "end"), strict=True):
        if text and name not in (value or ()):
            ctx.drop(place, "the date is not known")


def _is_after(start: str, end: str) -> bool:
    if "T" in start and "T" in end:
        return datetime.fromisoformat(start) > datetime.fromisoformat(end)
    length = min(len(start), len(end), 10)
    return start[:length] > end[:length]
