"""FHIR data types as people read them, and the time that a resource stands for.

Pure. Nothing is computed from a value or translated: text is the hospital's own.
https://hl7.org/fhir/R4/datatypes.html
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from hie.core.fhir.json import JsonObject

_DATE_LENGTH: Final = len("2026-11-22")


class Time(NamedTuple):
    """A point in time in the portal's zone; without `has_clock` only its date was said."""

    at: datetime
    has_clock: bool


def concept(value: JsonObject | None) -> str:
    """Return a CodeableConcept as people read it: its text, else the first display, else the first code."""
    if not value:
        return ""
    codings = value.get("coding", ())
    return str(
        value.get("text")
        or next((coding["display"] for coding in codings if coding.get("display")), "")
        or next((coding["code"] for coding in codings if coding.get("code")), "")
    )


def concept_with_code(value: JsonObject | None) -> str:
    """Return a CodeableConcept with its first code behind it: ``感染性腹泻 A09.9``."""
    text = concept(value)
    code = next((str(coding["code"]) for coding in (value or {}).get("coding", ()) if coding.get("code")), "")
    return text if code in {"", text} else f"{text} {code}".strip()


def quantity(value: JsonObject | None) -> str:
    """Return a Quantity as ``≥ 5 mg``, "" for none."""
    if not value or value.get("value") is None:
        return ""
    unit = value.get("unit") or value.get("code") or ""
    return f"{value.get('comparator', '')}{value['value']} {unit}".strip()


def bounds(value: JsonObject | None) -> str:
    """Return a Range (or a referenceRange) as ``3.5–5.1``, ``≥ 3.5`` or ``≤ 5.1``, without units."""
    low, high = ((value or {}).get(side, {}).get("value") for side in ("low", "high"))
    if low is not None and high is not None:
        return f"{low}–{high}"
    return f"≥ {low}" if low is not None else f"≤ {high}" if high is not None else ""


def names(references: Iterable[JsonObject]) -> str:
    """Return the displays of References, separated by a comma."""
    return ", ".join(
        dict.fromkeys(str(reference["display"]) for reference in references if reference.get("display"))
    )


def start(resource: JsonObject, *elements: str, zone: ZoneInfo) -> Time | None:
    """Return the time of the first of `elements` that says one; an element ``x`` stands for all of ``x[x]``.

    Of a Period its start, else its end; of a Timing its first event.
    """
    for element in elements:
        period = resource.get(f"{element}Period") or {}
        timing = resource.get(f"{element}Timing") or {}
        bound = timing.get("repeat", {}).get("boundsPeriod", {})
        plain = resource.get(element)
        if isinstance(plain, dict):
            period, plain = plain, None
        candidates = (
            plain,
            resource.get(f"{element}DateTime"),
            resource.get(f"{element}Instant"),
            period.get("start"),
            period.get("end"),
            *timing.get("event", ())[:1],
            bound.get("start"),
            bound.get("end"),
        )
        for candidate in candidates:
            if candidate:
                return time(str(candidate), zone)
    return None


def end(resource: JsonObject, element: str, *, zone: ZoneInfo) -> Time | None:
    """Return the latest time that an element may mean: of a month its last day, of a Period its end.

    None when the element is missing or a Period that is still open.
    """
    plain = resource.get(element)
    period = plain if isinstance(plain, dict) else resource.get(f"{element}Period")
    timing = resource.get(f"{element}Timing") or {}
    if period is not None:
        texts = [period.get("end")]
    elif timing:
        texts = [*timing.get("event", ()), timing.get("repeat", {}).get("boundsPeriod", {}).get("end")]
    else:
        texts = [plain, resource.get(f"{element}DateTime"), resource.get(f"{element}Instant")]
    return max((time(_last_day(str(text)), zone) for text in texts if text), default=None)


def time(text: str, zone: ZoneInfo) -> Time:
    """Return a FHIR dateTime in `zone`; a month or a year is its first day."""
    if "T" in text:
        return Time(datetime.fromisoformat(text).astimezone(zone), has_clock=True)
    padded = (text + "-01-01")[:_DATE_LENGTH]
    return Time(datetime.fromisoformat(padded).replace(tzinfo=zone), has_clock=False)


def _last_day(text: str) -> str:
    """Return a month or a year as its last day, everything else as it is."""
    if len(text) >= _DATE_LENGTH:
        return text
    year, _, month = text.partition("-")
    return f"{year}-{month or 12}-{monthrange(int(year), int(month or 12))[1]:02}"
