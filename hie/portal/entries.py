"""What one resource contributes to the timeline: its kind, time, title and further facts, by resource type.

Pure. A new resource type enters the timeline here, and in `hie.portal.record`
with the search parameters that find it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from hie.core.fhir.json import JsonObject
from hie.portal.elements import Time, bounds, concept, concept_with_code, names, quantity, start, time
from hie.portal.results import Result, results_of


class Kind(StrEnum):
    """The kinds of entries, in the order of their filter."""

    ENCOUNTER = "encounter"
    CONDITION = "condition"
    RESULT = "result"
    ORDER = "order"
    MEDICATION = "medication"
    PROCEDURE = "procedure"
    IMMUNIZATION = "immunization"


@dataclass(frozen=True, slots=True)
class Detail:
    """One more fact of an entry: its label (a text key below ``detail.``) and its text."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a resource says beyond what all have; `title` is text, or a code of the group `title_group`."""

    kind: Kind
    time: Time | None
    title: str
    title_group: str = ""
    until: Time | None = None
    details: tuple[Detail, ...] = ()
    results: tuple[Result, ...] = ()


References = Mapping[str, JsonObject]
"""Resources by reference (``Location/1``): what entries refer to."""

Reader = Callable[[JsonObject, References, ZoneInfo], Entry]


def _encounter(encounter: JsonObject, known: References, zone: ZoneInfo) -> Entry:
    diagnoses = [
        concept_with_code(known[reference].get("code")) for reference in diagnoses_of(encounter, known)
    ]
    reasons = [concept(reason) for reason in encounter.get("reasonCode", ())]
    doctors = (each.get("individual", {}) for each in encounter.get("participant", ()))
    end = encounter.get("period", {}).get("end")
    return Entry(
        Kind.ENCOUNTER,
        start(encounter, "period", zone=zone),
        str(encounter.get("class", {}).get("code", "")),
        "encounter-class",
        until=time(end, zone) if end and encounter["period"].get("start") else None,
        details=_details(
            ("diagnosis", "; ".join(dict.fromkeys(filter(None, diagnoses)))),
            ("reason", "; ".join(filter(None, reasons))),
            ("place", _places(encounter, known)),
            ("doctor", names(doctors)),
        ),
    )


def _condition(condition: JsonObject, _known: References, zone: ZoneInfo) -> Entry:
    return Entry(
        Kind.CONDITION,
        start(condition, "recordedDate", "onset", zone=zone),
        concept_with_code(condition.get("code")),
        details=_details(
            ("severity", concept(condition.get("severity"))),
            ("doctor", names([condition.get("recorder", {})])),
            ("note", _notes(condition)),
        ),
    )


def _report(report: JsonObject, known: References, zone: ZoneInfo) -> Entry:
    lines = [known[reference] for reference in results_in(report) if reference in known]
    forms = (
        str(form.get("title") or form.get("contentType") or "") for form in report.get("presentedForm", ())
    )
    return Entry(
        Kind.RESULT,
        start(report, "effective", "issued", zone=zone),
        concept(report.get("code")),
        details=_details(
            ("conclusion", str(report.get("conclusion", ""))),
            ("diagnosis", "; ".join(filter(None, map(concept_with_code, report.get("conclusionCode", ()))))),
            ("attachment", ", ".join(filter(None, forms))),
            ("doctor", names([*report.get("resultsInterpreter", ()), *report.get("performer", ())])),
        ),
        results=tuple(line for observation in lines for line in results_of(observation)),
    )


def _observation(observation: JsonObject, _known: References, zone: ZoneInfo) -> Entry:
    return Entry(
        Kind.RESULT,
        start(observation, "effective", "issued", zone=zone),
        concept(observation.get("code")),
        results=results_of(observation),
    )


def _order(order: JsonObject, _known: References, zone: ZoneInfo) -> Entry:
    priority = str(order.get("priority", ""))
    return Entry(
        Kind.ORDER,
        start(order, "authoredOn", "occurrence", zone=zone),
        concept(order.get("code")),
        details=_details(
            ("priority", "" if priority == "routine" else priority),
            ("timing", _timing(order.get("occurrenceTiming"))),
            ("reason", "; ".join(filter(None, map(concept, order.get("reasonCode", ()))))),
            ("doctor", names([order.get("requester", {})])),
            ("note", _notes(order)),
        ),
    )


def _prescription(request: JsonObject, known: References, zone: ZoneInfo) -> Entry:
    """Return the entry of a MedicationRequest; what it leaves open its ServiceRequest or Encounter says."""
    orders = [known[each] for each in ordered_by(request) if each in known]
    encounter = known.get(str(request.get("encounter", {}).get("reference", "")), {})
    begun = (start(each, *elements, zone=zone) for each, elements in _said_when(request, orders, encounter))
    instructions = request.get("dosageInstruction", ())
    rates = (rate for instruction in instructions for rate in instruction.get("doseAndRate", ()))
    doses = (quantity(rate.get("doseQuantity")) or _dose(rate.get("doseRange")) for rate in rates)
    timings = [_timing(instruction.get("timing")) for instruction in instructions]
    timings += [_timing(order.get("occurrenceTiming")) for order in orders]
    doctors = [request.get("requester", {}), *(order.get("requester", {}) for order in orders)]
    return Entry(
        Kind.MEDICATION,
        next(filter(None, begun), None),
        _medication(request),
        details=_details(
            ("dosage", "; ".join(str(each["text"]) for each in instructions if each.get("text"))),
            ("dose", "; ".join(dict.fromkeys(filter(None, doses)))),
            ("route", "; ".join(filter(None, (concept(each.get("route")) for each in instructions)))),
            ("timing", next(filter(None, timings), "")),
            ("amount", quantity(request.get("dispenseRequest", {}).get("quantity"))),
            ("doctor", names(doctors)),
            ("note", _notes(request)),
        ),
    )


def _medication_event(event: JsonObject, _known: References, zone: ZoneInfo) -> Entry:
    return Entry(
        Kind.MEDICATION,
        start(event, "effective", "dateAsserted", zone=zone),
        _medication(event),
        details=_details(("note", _notes(event))),
    )


def _procedure(procedure: JsonObject, _known: References, zone: ZoneInfo) -> Entry:
    doctors = (each.get("actor", {}) for each in procedure.get("performer", ()))
    return Entry(
        Kind.PROCEDURE,
        start(procedure, "performed", zone=zone),
        concept_with_code(procedure.get("code")),
        details=_details(("doctor", names(doctors)), ("note", _notes(procedure))),
    )


def _immunization(immunization: JsonObject, _known: References, zone: ZoneInfo) -> Entry:
    return Entry(
        Kind.IMMUNIZATION,
        start(immunization, "occurrence", "recorded", zone=zone),
        concept(immunization.get("vaccineCode")) or str(immunization.get("occurrenceString", "")),
        details=_details(
            ("amount", quantity(immunization.get("doseQuantity"))),
            ("lot", str(immunization.get("lotNumber", ""))),
        ),
    )


READERS: Final[Mapping[str, Reader]] = {
    "Encounter": _encounter,
    "Condition": _condition,
    "DiagnosticReport": _report,
    "Observation": _observation,
    "ServiceRequest": _order,
    "MedicationRequest": _prescription,
    "MedicationStatement": _medication_event,
    "MedicationAdministration": _medication_event,
    "Procedure": _procedure,
    "Immunization": _immunization,
}


def diagnoses_of(encounter: JsonObject, known: References) -> list[str]:
    """Return the references of an Encounter's diagnoses that are Conditions among the known."""
    wanted = (
        str(diagnosis.get("condition", {}).get("reference", ""))
        for diagnosis in encounter.get("diagnosis", ())
    )
    return [reference for reference in wanted if reference.startswith("Condition/") and reference in known]


def results_in(report: JsonObject) -> list[str]:
    """Return the references of a report's Observations."""
    return [str(each["reference"]) for each in report.get("result", ()) if each.get("reference")]


def ordered_by(resource: JsonObject) -> list[str]:
    """Return the references of the orders that a resource carries out."""
    return [str(each["reference"]) for each in resource.get("basedOn", ()) if each.get("reference")]


def _said_when(
    request: JsonObject, orders: Iterable[JsonObject], encounter: JsonObject
) -> Iterable[tuple[JsonObject, tuple[str, ...]]]:
    yield request, ("authoredOn",)
    for order in orders:
        yield order, ("authoredOn", "occurrence")
    yield encounter, ("period",)


def _details(*pairs: tuple[str, str]) -> tuple[Detail, ...]:
    return tuple(Detail(label, text) for label, text in pairs if text)


def _medication(resource: JsonObject) -> str:
    return concept(resource.get("medicationCodeableConcept")) or names(
        [resource.get("medicationReference") or {}]
    )


def _dose(value: JsonObject | None) -> str:
    """Return a dose range with its unit; one whose ends are equal or of which one is open is a dose."""
    low, high = ((value or {}).get(side) for side in ("low", "high"))
    if not low or not high or low == high:
        return quantity(low or high)
    return f"{bounds(value)} {high.get('unit') or high.get('code') or ''}".strip()


def _timing(timing: JsonObject | None) -> str:
    """Return when and for how long: the timing's text or code, and the length that bounds it."""
    repeat = (timing or {}).get("repeat", {})
    parts = (concept((timing or {}).get("code")), quantity(repeat.get("boundsDuration")))
    return " × ".join(filter(None, parts))


def _places(encounter: JsonObject, known: References) -> str:
    """Return the department and the places, a Location's description before its bare code."""
    found: list[str] = []
    for place in encounter.get("location", ()):
        reference = place.get("location", {})
        location = known.get(str(reference.get("reference", "")), {})
        found.append(
            str(location.get("description") or reference.get("display") or location.get("name") or "")
        )
    return " → ".join(dict.fromkeys(filter(None, found))) or concept(encounter.get("serviceType"))


def _notes(resource: JsonObject) -> str:
    return "; ".join(str(note["text"]) for note in resource.get("note", ()) if note.get("text"))
