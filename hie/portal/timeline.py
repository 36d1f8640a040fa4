"""One timeline over all hospitals: encounters, diagnoses, orders, results and medication, newest first.

Pure: takes FHIR resources, returns what the page shows. Results stand under their
report, an order whose report or prescription is there is not shown twice, and a
diagnosis stands in its encounter where that is shown.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from itertools import groupby
from zoneinfo import ZoneInfo

from hie.core.fhir.json import JsonObject
from hie.portal.elements import Time
from hie.portal.entries import READERS, Detail, Kind, References, diagnoses_of, ordered_by, results_in
from hie.portal.results import Flag, Result
from hie.portal.source_patient import Hospital


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the timeline; `time` and `until` in the portal's zone, None where nothing was said.

    `title` is the hospital's text, or a code of the group `title_group` where that is given.
    """

    kind: Kind
    time: Time | None
    until: Time | None
    title: str
    title_group: str
    hospital: Hospital
    status: str
    reference: str
    details: tuple[Detail, ...]
    results: tuple[Result, ...]

    @property
    def flagged(self) -> int:
        """How many results are flagged."""
        return sum(result.flag is not Flag.NONE for result in self.results)

    @property
    def ends_same_day(self) -> bool:
        """Whether `until` is on the day of `time`."""
        return (
            self.time is not None and self.until is not None and self.until.at.date() == self.time.at.date()
        )


@dataclass(frozen=True, slots=True)
class Day:
    """The entries of one day, newest first; `date` is None for those without a time."""

    date: date | None
    events: tuple[Event, ...]


def build(
    shown: Iterable[JsonObject],
    known: References,
    hospital_of: Callable[[str], Hospital],
    zone: ZoneInfo,
    kinds: Sequence[Kind] = tuple(Kind),
) -> list[Event]:
    """Return the events of the resources `shown`, newest first, those without a time last.

    `known` holds every resource that is at hand, by reference; `hospital_of` gives the hospital
    of a Patient id. With encounters among `kinds`, their diagnoses are not shown beside them.
    """
    resources = {f"{each['resourceType']}/{each['id']}": each for each in shown}
    told = _told_elsewhere(known, kinds)
    events = [
        _event(reference, resource, known, hospital_of, zone)
        for reference, resource in resources.items()
        if reference not in told and resource["resourceType"] in READERS
    ]
    return sorted(events, key=_order, reverse=True)


def by_day(events: Iterable[Event]) -> list[Day]:
    """Return sorted events grouped by their day."""
    groups = groupby(events, key=lambda event: None if event.time is None else event.time.at.date())
    return [Day(day, tuple(members)) for day, members in groups]


def _told_elsewhere(known: References, kinds: Sequence[Kind]) -> set[str]:
    """Return the references of what another entry shows."""
    told: set[str] = set()
    for resource in known.values():
        match resource["resourceType"]:
            case "DiagnosticReport":
                told.update(results_in(resource))
                told.update(ordered_by(resource))
            case "MedicationRequest":
                told.update(ordered_by(resource))
            case "Encounter" if Kind.ENCOUNTER in kinds and Kind.CONDITION in kinds:
                told.update(diagnoses_of(resource, known))
    return told


def _event(
    reference: str,
    resource: JsonObject,
    known: References,
    hospital_of: Callable[[str], Hospital],
    zone: ZoneInfo,
) -> Event:
    entry = READERS[resource["resourceType"]](resource, known, zone)
    patient = resource.get("subject") or resource.get("patient") or {}
    return Event(
        kind=entry.kind,
        time=entry.time,
        until=entry.until,
        title=entry.title,
        title_group=entry.title_group,
        hospital=hospital_of(str(patient.get("reference", "")).rpartition("/")[2]),
        status=str(resource.get("status", "")),
        reference=reference,
        details=entry.details,
        results=entry.results,
    )


def _order(event: Event) -> tuple[bool, date, bool, time, str]:
    """Newest first when reversed; within a day those without a clock time stand last."""
    if event.time is None:
        return False, date.min, False, time.min, event.reference
    at = event.time.at
    return True, at.date(), event.time.has_clock, at.time(), event.reference
