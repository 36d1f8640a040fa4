"""One timeline over all hospitals: encounters, diagnoses, orders and results, newest first.

Pure: takes FHIR resources, returns what the page shows. Results stand under
their report, an order with a report is not shown twice, and a value is shown as
the hospital wrote it, with its own reference range and flag.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from hie.core.fhir.json import JsonObject

# HL7 v3 ObservationInterpretation codes that call for attention,
# https://terminology.hl7.org/CodeSystem-v3-ObservationInterpretation.html
_HIGH: Final = frozenset({"H", "HH", "HU", ">"})
_LOW: Final = frozenset({"L", "LL", "LU", "<"})
_ABNORMAL: Final = frozenset({"A", "AA", "POS", "DET", "R", "I", "HX", "LX"})


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a report: what was measured, the value as text, its range, and "high", "low", "abnormal" or ""."""

    name: str
    value: str
    unit: str
    reference_range: str
    flag: str
    flag_code: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the timeline; `time` is aware, or None where the hospital gave none."""

    kind: str
    time: datetime | None
    has_clock: bool
    title: str
    hospital: str
    status: str
    reference: str
    details: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
    children: tuple["Event", ...] = field(default=())

    @property
    def is_abnormal(self) -> bool:
        """Whether any result calls for attention."""
        return any(result.flag for result in self.results)


def build(
    resources: Mapping[str, Sequence[JsonObject]], hospital_of: Callable[[str], str], zone: ZoneInfo
) -> list[Event]:
    """Return the events of `resources` (by type), newest first, those without a time last.

    `hospital_of` gives the hospital's name for a Patient id; times are shown in `zone`.
    """
    observations = {f"Observation/{found['id']}": found for found in resources.get("Observation", ())}
    reported: set[str] = set()
    ordered: set[str] = set()
    events: list[Event] = []

    def add(kind: str, resource: JsonObject, time: str, title: str, **more: object) -> None:
        when, has_clock = _time(time, zone)
        events.append(
            Event(
                kind=kind,
                time=when,
                has_clock=has_clock,
                title=title,
                hospital=hospital_of(_patient(resource)),
                status=str(resource.get("status", "")),
                reference=f"{resource['resourceType']}/{resource['id']}",
                **more,  # type: ignore[arg-type] # the two optional fields, checked at the calls
            )
        )

    for report in resources.get("DiagnosticReport", ()):
        lines = [found["reference"] for found in report.get("result", ()) if "reference" in found]
        reported.update(lines)
        ordered.update(found.get("reference", "") for found in report.get("basedOn", ()))
        results = tuple(result_of(observations[line]) for line in lines if line in observations)
        conclusion = (report["conclusion"],) if report.get("conclusion") else ()
        time = _first(report, "effectiveDateTime", "issued") or report.get("effectivePeriod", {}).get(
            "start", ""
        )
        add("report", report, time, concept(report.get("code")), results=results, details=conclusion)
    for reference, observation in observations.items():
        if reference not in reported:
            time = _first(observation, "effectiveDateTime", "issued")
            add(
                "observation",
                observation,
                time,
                concept(observation.get("code")),
                results=(result_of(observation),),
            )
    for order in resources.get("ServiceRequest", ()):
        if f"ServiceRequest/{order['id']}" not in ordered:
            time = _first(order, "authoredOn", "occurrenceDateTime")
            add("order", order, time, concept(order.get("code")))
    for order in resources.get("MedicationRequest", ()):
        add("medication", order, _first(order, "authoredOn"), concept(order.get("medicationCodeableConcept")))
    for encounter in resources.get("Encounter", ()):
        details = tuple(
            filter(
                None, (_places(encounter), *(concept(reason) for reason in encounter.get("reasonCode", ())))
            )
        )
        code = encounter.get("class", {}).get("code", "")
        add("encounter", encounter, encounter.get("period", {}).get("start", ""), code, details=details)
    for condition in resources.get("Condition", ()):
        time = _first(condition, "recordedDate", "onsetDateTime")
        add("condition", condition, time, concept(condition.get("code")))
    for procedure in resources.get("Procedure", ()):
        time = _first(procedure, "performedDateTime") or procedure.get("performedPeriod", {}).get("start", "")
        add("procedure", procedure, time, concept(procedure.get("code")))
    for allergy in resources.get("AllergyIntolerance", ()):
        add(
            "allergy", allergy, _first(allergy, "onsetDateTime", "recordedDate"), concept(allergy.get("code"))
        )
    oldest = datetime.min.replace(tzinfo=zone)
    return sorted(events, key=lambda event: (event.time is not None, event.time or oldest), reverse=True)


def result_of(observation: JsonObject) -> Result:
    """Return the line of one Observation."""
    value, unit = _value(observation)
    code = _interpretation(observation)
    flag = "high" if code in _HIGH else "low" if code in _LOW else "abnormal" if code in _ABNORMAL else ""
    ranges = (found.get("text") or _bounds(found) for found in observation.get("referenceRange", ()))
    return Result(
        name=concept(observation.get("code")),
        value=value,
        unit=unit,
        reference_range="; ".join(filter(None, ranges)),
        flag=flag,
        flag_code=code,
        notes=tuple(note["text"] for note in observation.get("note", ()) if note.get("text")),
    )


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


def _value(observation: JsonObject) -> tuple[str, str]:
    for key, value in observation.items():
        if not key.startswith("value"):
            continue
        if key == "valueQuantity":
            number = f"{value.get('comparator', '')}{value.get('value', '')}"
            return number, str(value.get("unit") or value.get("code") or "")
        if key == "valueCodeableConcept":
            return concept(value), ""
        if key == "valueRange":
            return _bounds(value), ""
        if key == "valueRatio":
            parts = (str(value.get(side, {}).get("value", "")) for side in ("numerator", "denominator"))
            return ":".join(parts), ""
        if key == "valuePeriod":
            return f"{value.get('start', '')} – {value.get('end', '')}", ""
        return str(value), ""
    return concept(observation.get("dataAbsentReason")), ""


def _bounds(found: JsonObject) -> str:
    low, high = (found.get(side, {}).get("value") for side in ("low", "high"))
    if low is not None and high is not None:
        return f"{low}–{high}"
    return f"≥ {low}" if low is not None else f"≤ {high}" if high is not None else ""


def _interpretation(observation: JsonObject) -> str:
    for interpretation in observation.get("interpretation", ()):
        for coding in interpretation.get("coding", ()):
            if coding.get("code"):
                return str(coding["code"])
        if interpretation.get("text"):
            return str(interpretation["text"])
    return ""


def _places(encounter: JsonObject) -> str:
    names = (place.get("location", {}).get("display", "") for place in encounter.get("location", ()))
    return " → ".join(filter(None, names))


def _first(resource: JsonObject, *elements: str) -> str:
    return next((str(resource[element]) for element in elements if resource.get(element)), "")


def _patient(resource: JsonObject) -> str:
    reference = (resource.get("subject") or resource.get("patient") or {}).get("reference", "")
    return str(reference).partition("/")[2]


def _time(text: str, zone: ZoneInfo) -> tuple[datetime | None, bool]:
    """Return a FHIR dateTime in `zone`, and whether it has a clock time; a month or year is its first day."""
    if not text:
        return None, False
    if "T" in text:
        return datetime.fromisoformat(text).astimezone(zone), True
    padded = (text + "-01-01")[:10] if len(text) < len("2026-11-22") else text
    return datetime.fromisoformat(padded).replace(tzinfo=zone), False
