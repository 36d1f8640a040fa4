"""TQ, RI, RPT: when and how often.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (TQ[...], RI[Timing], RPT[Timing])
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.cq import cq_quantity
from hl7_gateway.datatypes.cwe import cwe_codeable_concept
from hl7_gateway.datatypes.dr import period
from hl7_gateway.datatypes.dtm import time_of_day
from hl7_gateway.datatypes.nesting import within
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_UCUM = "http://unitsofmeasure.org"
_DAYS = {"1": "mon", "2": "tue", "3": "wed", "4": "thu", "5": "fri", "6": "sat", "7": "sun"}
# HL7 v2.8 2.A.83 TQ.3: unit letter and number; FHIR's UCUM units of time.
_DURATIONS = {"S": "s", "M": "min", "H": "h", "D": "d", "W": "wk", "L": "mo"}
_UNITS_OF_TIME = frozenset({"s", "min", "h", "d", "wk", "mo", "a"})
_MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0, "d": 1440.0, "wk": 10080.0}
_WHEN_OF_TIMING_EVENT = "http://terminology.hl7.org/CodeSystem/v3-TimingEvent"


@datatype("RI_Timing", uses=(1, (1, (1, 2, 3)), 2))
def ri_timing(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Timing of a repeat pattern (RI.1) and of explicit times of day (RI.2: "0800,1200")."""
    timing: JsonObject = {}
    pattern = within(rep, 1, ctx, _pattern)
    if pattern is not None:
        timing["code"] = pattern
    times = [text for text in part(rep, 2).split(",") if text.strip()]
    try:
        if times:
            timing["repeat"] = {"timeOfDay": [time_of_day(text) for text in times]}
    except DataTypeError as error:
        ctx.drop(2, error.message)
    return timing or None


@datatype("RPT_Timing", uses=((1, (1, 2, 3, 4, 5, 6, 7, 8, 9)), 2, 3, 4, 5, 6, 8, 9, 10))
def rpt_timing(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Timing of a repeat pattern: its code, days of the week, period, event and offset."""
    timing: JsonObject = {}
    pattern = within(rep, 1, ctx, _pattern)
    if pattern is not None:
        timing["code"] = pattern
    repeat: JsonObject = {}
    _add_days(repeat, rep, ctx)
    _add_period(repeat, rep, ctx)
    _add_event(repeat, rep, ctx)
    if repeat:
        timing["repeat"] = repeat
    return timing or None


@datatype("TQ_Quantity", uses=((1, (1, 2)),))
def tq_quantity(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Quantity in TQ.1."""
    return within(rep, 1, ctx, cq_quantity)


@datatype("TQ_Timing", uses=((2, (1, 2)), 3, 4, 5, 12))
def tq_timing(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Timing of interval, duration, start, end and count (TQ.2 to TQ.5, TQ.12).

    A Timing has one bound: start and end go before the duration, which then is dropped.
    """
    timing = within(rep, 2, ctx, ri_timing) or {}
    repeat: JsonObject = timing.get("repeat", {})
    try:
        bounds = period(part(rep, 4), part(rep, 5), ctx)
    except DataTypeError as error:
        bounds = None
        for place in (4, 5):
            if part(rep, place):
                ctx.drop(place, error.message)
    length = _duration(part(rep, 3))
    if bounds is not None:
        repeat["boundsPeriod"] = bounds
    if length is not None and bounds is None:
        repeat["boundsDuration"] = length
    elif part(rep, 3).strip():
        ctx.drop(
            3, "a Timing has one bound" if length is not None else "the duration cannot be read without doubt"
        )
    try:
        count = primitives.integer(part(rep, 12), at_least=1)
    except DataTypeError as error:
        count = None
        ctx.drop(12, error.message)
    if count is not None:
        repeat["count"] = count
    if repeat:
        timing["repeat"] = repeat
    return timing or None


@datatype("TQ_Period", uses=(4, 5))
def tq_period(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Period from TQ.4 to TQ.5."""
    return period(part(rep, 4), part(rep, 5), ctx)


@datatype("TQ_priority", uses=(6,))
def tq_priority(rep: Repetition, ctx: Context) -> str | None:
    """Return the request priority of TQ.6; raises DataTypeError for one that FHIR does not know."""
    text = primitives.code(part(rep, 6))
    return None if text is None else priority(text, ctx)


@datatype("CWE_priority", uses=(1,))
@datatype("ID_priority", uses=(1,))
@datatype("ST_priority", uses=(1,))
def cwe_priority(rep: Repetition, ctx: Context) -> str | None:
    """Return the request priority of a priority code (table 0485); raises DataTypeError for others."""
    text = primitives.code(part(rep, 1))
    return None if text is None else priority(text, ctx)


@datatype("TQ_Annotation", uses=(8,))
def tq_annotation(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return the text of TQ.8 as an Annotation."""
    text = primitives.markdown(part(rep, 8))
    return None if text is None else {"text": text}


def _pattern(rep: Repetition, ctx: Context) -> JsonObject | None:
    return cwe_codeable_concept(rep, ctx, "RepeatPattern")


def priority(text: str, ctx: Context) -> str:
    """Return the code of https://hl7.org/fhir/R4/valueset-request-priority.html that a v2 priority is.

    "STAT", "ASAP", "ROUTINE" and "URGENT" in full are what many senders write.
    """
    target = ctx.translator.translate("ExtendedPriorityCodes", text)
    if target is not None:
        return target.code
    word = text.lower()
    if word in ("stat", "asap", "routine", "urgent"):
        return word
    raise DataTypeError(f"`{primitives.shown(text)}` has no target in the code map ExtendedPriorityCodes")


def _add_days(repeat: JsonObject, rep: Repetition, ctx: Context) -> None:
    """Set the days of the week of a calendar alignment (table 0527) by the day of the week, DW."""
    places = [place for place in (3, 4) if part(rep, place)]
    if part(rep, 2) != "DW":
        for place in (2, *places):
            if part(rep, place):
                ctx.drop(place, "FHIR aligns by day of the week only (DW)")
        return
    days = [_DAYS.get(part(rep, place).strip()) for place in places]
    known = [day for day in days if day is not None]
    if known:
        repeat["dayOfWeek"] = known
    else:
        ctx.drop(2, "no day of the week (RPT.3, RPT.4) is given")
    for place, day in zip(places, days, strict=True):
        if day is None:
            ctx.drop(place, "the day of the week is not 1 to 7")


def _add_period(repeat: JsonObject, rep: Repetition, ctx: Context) -> None:
    """Set period and unit; FHIR wants both (tim-2), so one without the other is dropped."""
    text, unit = part(rep, 5), primitives.code(part(rep, 6))
    try:
        amount = primitives.decimal(text)
    except DataTypeError as error:
        ctx.drop(5, error.message)
        amount = None
    if amount is not None and amount >= 0 and unit in _UNITS_OF_TIME:
        repeat["period"], repeat["periodUnit"] = amount, unit
        return
    if amount is not None:
        ctx.drop(5, "a period needs a number of zero or more with a UCUM unit of time")
    if unit is not None:
        ctx.drop(6, "a period needs a number of zero or more with a UCUM unit of time")


def _add_event(repeat: JsonObject, rep: Repetition, ctx: Context) -> None:
    """Set the event (table 0528) and its offset in minutes; an offset needs an event (tim-9)."""
    event = primitives.code(part(rep, 8))
    if event is not None:
        target = ctx.translator.translate("EventRelatedPeriod", event)
        if target is not None and target.system == _WHEN_OF_TIMING_EVENT:
            repeat["when"] = [target.code]
        else:
            ctx.drop(8, "the event is none of FHIR's event timings")
    offset, unit = part(rep, 9), primitives.code(part(rep, 10))
    if not offset and unit is None:
        return
    try:
        amount = primitives.decimal(offset)
    except DataTypeError:
        amount = None
    factor = _MINUTES.get(unit or "min")
    minutes = None if amount is None or factor is None else float(amount) * factor
    if minutes is not None and 0 <= minutes <= _OFFSET_MAX and "when" in repeat:
        repeat["offset"] = round(minutes)
        return
    for place in (9, 10):
        if part(rep, place):
            ctx.drop(place, "the offset is no number of minutes after an event of FHIR")


def _duration(text: str) -> JsonObject | None:
    """Return the Duration of "H6" and the like, None for what is none."""
    text = text.strip().upper()
    unit = _DURATIONS.get(text[:1])
    if unit is None or not text[1:].isascii() or not text[1:].isdigit():
        return None
    return {"value": int(text[1:]), "unit": unit, "system": _UCUM, "code": unit}


_OFFSET_MAX = 2_147_483_647
