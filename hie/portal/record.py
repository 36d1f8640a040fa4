"""A person's record in pages of whole days, read through the `ResourceStore` port.

A page is bounded by a date, not by an offset: it holds whole days before that date,
newest first, until there is enough to read. A resource without any date that the
repository can search stands where its own fallback puts it, or on the last page.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject
from hie.core.ports import ResourceStore, SearchPage
from hie.portal import timeline
from hie.portal.elements import concept, end
from hie.portal.entries import READERS, Kind, ordered_by
from hie.portal.people import Person
from hie.portal.searches import any_of, every, pages, resources
from hie.portal.source_patient import Hospital, SourcePatient
from hie.portal.timeline import Day, Event

# A page ends with the day on which it has as many entries.
_ENOUGH: Final = 30
_COUNT: Final = 100


@dataclass(frozen=True, slots=True)
class Stream:
    """How a resource type is found by time: its date parameters, the first that has a value counts.

    `elements` are those that the parameters read (https://hl7.org/fhir/R4/searchparameter-registry.html).
    """

    type: str
    dates: tuple[tuple[str, str], ...]
    included: tuple[tuple[str, str], ...] = ()
    # How many are read for a page; a day is never cut.
    count: int = _COUNT


STREAMS: Final[dict[Kind, tuple[Stream, ...]]] = {
    Kind.ENCOUNTER: (
        Stream(
            "Encounter",
            (("date", "period"),),
            (("_include", "Encounter:location"), ("_include", "Encounter:diagnosis")),
        ),
    ),
    Kind.CONDITION: (Stream("Condition", (("recorded-date", "recordedDate"), ("onset-date", "onset"))),),
    Kind.RESULT: (
        Stream(
            "DiagnosticReport",
            (("date", "effective"), ("issued", "issued")),
            (("_include", "DiagnosticReport:result"),),
        ),
        Stream(
            "Observation",
            (("date", "effective"),),
            (("_revinclude", "DiagnosticReport:result"),),
            count=5 * _COUNT,
        ),
    ),
    Kind.ORDER: (
        Stream(
            "ServiceRequest",
            (("authored", "authoredOn"), ("occurrence", "occurrence")),
            (("_revinclude", "DiagnosticReport:based-on"),),
        ),
    ),
    Kind.MEDICATION: (
        Stream("MedicationRequest", (("authoredon", "authoredOn"),)),
        Stream("MedicationStatement", (("effective", "effective"),)),
        Stream("MedicationAdministration", (("effective-time", "effective"),)),
    ),
    Kind.PROCEDURE: (Stream("Procedure", (("date", "performed"),)),),
    Kind.IMMUNIZATION: (Stream("Immunization", (("date", "occurrence"),)),),
}


@dataclass(frozen=True, slots=True)
class RecordPage:
    """The days of a page, newest first, and the date before which there is more (None: nothing older)."""

    days: tuple[Day, ...]
    before: date | None


@dataclass(frozen=True, slots=True)
class Allergy:
    """What a person does not tolerate, whether that is past, and who says so by which resource."""

    text: str
    is_past: bool
    said_by: tuple[tuple[Hospital, str], ...]


@dataclass
class _Found:
    """What was read so far: by reference, the resources to show and all that are at hand."""

    shown: dict[str, JsonObject] = field(default_factory=dict)
    known: dict[str, JsonObject] = field(default_factory=dict)

    def take(self, page: SearchPage) -> list[JsonObject]:
        """Take a page of a search; return its matches."""
        matches = resources(page, "match")
        for resource in matches:
            self.shown[_reference(resource)] = self.known[_reference(resource)] = resource
        self.know(resources(page, "include"))
        return matches

    def know(self, resources: Iterable[JsonObject]) -> None:
        """Take resources that entries refer to."""
        for resource in resources:
            self.known.setdefault(_reference(resource), resource)


class Record:
    """Reads one person's record."""

    def __init__(
        self,
        transaction: Transaction,
        store: ResourceStore,
        person: Person,
        *,
        zone: ZoneInfo,
        kinds: Sequence[Kind] = tuple(Kind),
        hospital: str = "",
    ) -> None:
        """Take the person; `kinds` and `hospital` (an Organization id, "" for all) narrow what is read."""
        self._transaction = transaction
        self._store = store
        self._zone = zone
        self._kinds = kinds
        self._hospitals = {each.id: each.hospital for each in person.patients}
        self._patients = _references(person.patients)
        self._chosen = _references(each for each in person.patients if hospital in {"", each.hospital.id})
        # A prescription tells of its order, so orders are not read without prescriptions.
        read = [*kinds, Kind.MEDICATION] if Kind.ORDER in kinds and Kind.MEDICATION not in kinds else kinds
        self._streams = [stream for kind in read for stream in STREAMS[kind]]

    def allergies(self) -> list[Allergy]:
        """Return the allergies of all hospitals, active ones first; without those refuted or in error."""
        parameters = [("patient", self._patients), ("_count", str(_COUNT))]
        found: dict[tuple[bool, str], list[tuple[Hospital, str]]] = {}
        for each in every(self._transaction, self._store, "AllergyIntolerance", parameters):
            if _codes(each.get("verificationStatus")) & {"entered-in-error", "refuted"}:
                continue
            is_past = bool(_codes(each.get("clinicalStatus")) & {"inactive", "resolved"})
            patient = str(each.get("patient", {}).get("reference", "")).rpartition("/")[2]
            said = found.setdefault((is_past, concept(each.get("code"))), [])
            said.append((self._hospital(patient), _reference(each)))
        return [Allergy(text, is_past, tuple(said)) for (is_past, text), said in sorted(found.items())]

    def page(self, before: date | None) -> RecordPage:
        """Return the page of the days before `before`; the newest when it is None."""
        if not self._chosen:
            return RecordPage((), None)
        found = _Found()
        undated = self._undated(found)
        since = self._read(found, before)
        days = timeline.by_day(self._events(found, undated, since, before))
        while not days and since is not None:
            since = self._read(found, since)
            days = timeline.by_day(self._events(found, undated, since, before))
        taken = entries = 0
        while taken < len(days) and entries < _ENOUGH:
            entries += len(days[taken].events)
            taken += 1
        if taken < len(days):
            since = days[taken - 1].date
        return RecordPage(tuple(days[:taken]), since)

    def _events(
        self, found: _Found, undated: Sequence[JsonObject], since: date | None, before: date | None
    ) -> list[Event]:
        """Return the events from `since` on; those of `undated` also have to stand before `before`."""
        late = {
            _reference(each)
            for each in undated
            if before is not None and (day := self._day(each, found)) is not None and day >= before
        }
        shown = [each for reference, each in found.shown.items() if reference not in late]
        events = timeline.build(shown, found.known, self._hospital, self._zone, self._kinds)
        return [
            event
            for event in events
            if event.kind in self._kinds
            and (since is None or (event.time is not None and event.time.at.date() >= since))
        ]

    def _day(self, resource: JsonObject, found: _Found) -> date | None:
        at = READERS[resource["resourceType"]](resource, found.known, self._zone).time
        return None if at is None else at.at.date()

    def _undated(self, found: _Found) -> list[JsonObject]:
        """Take the resources that no date parameter finds; return them."""
        undated: list[JsonObject] = []
        for stream in self._streams:
            missing = [(f"{name}:missing", "true") for name, _element in stream.dates]
            for page in self._pages(stream.type, [*missing, *stream.included, ("_count", str(_COUNT))]):
                undated.extend(found.take(page))
        self._resolve(found)
        return undated

    def _read(self, found: _Found, until: date | None) -> date | None:
        """Take what lies before `until`; return the date from which on all was taken, None for everything."""
        since: date | None = None
        for stream in self._streams:
            for number in range(len(stream.dates)):
                complete = self._read_stream(found, stream, number, until)
                if complete is not None:
                    since = max(complete, since or complete)
        self._resolve(found)
        return since

    def _read_stream(self, found: _Found, stream: Stream, number: int, until: date | None) -> date | None:
        """Take one stream, newest first; return the day after the last if it was left before its end."""
        name, element = stream.dates[number]
        parameters = [
            *self._dated(stream, number, until),
            *stream.included,
            ("_sort", f"-{name}"),
            ("_count", str(stream.count)),
        ]
        for page in self._pages(stream.type, parameters):
            matches = found.take(page)
            ended = end(matches[-1], element, zone=self._zone) if matches else None
            # Newest first is by where a period ends. What comes behind ended no later, so it began no later.
            complete = None if ended is None else ended.at.date() + timedelta(days=1)
            if complete is not None and page.next_cursor is not None and (until is None or complete < until):
                return complete
        return None

    def _dated(self, stream: Stream, number: int, until: date | None) -> list[tuple[str, str]]:
        """Return the parameters for what begins before `until` by one of the date parameters."""
        name, _element = stream.dates[number]
        parameters = [(f"{each}:missing", "true") for each, _element in stream.dates[:number]]
        if until is None:
            return [*parameters, (f"{name}:missing", "false")]
        midnight = datetime.combine(until, time.min, self._zone)
        return [*parameters, (name, f"lt{midnight.isoformat()}")]

    def _resolve(self, found: _Found) -> None:
        """Take what prescriptions without a date refer to for their time: their order, their Encounter."""
        wanted: dict[str, set[str]] = {"ServiceRequest": set(), "Encounter": set()}
        for resource in found.shown.values():
            if resource["resourceType"] == "MedicationRequest":
                encounter = resource.get("encounter", {}).get("reference", "")
                for reference in (*ordered_by(resource), str(encounter)):
                    kind, _, identity = reference.partition("/")
                    if kind in wanted and reference not in found.known:
                        wanted[kind].add(identity)
        for kind, ids in wanted.items():
            if ids:
                parameters = [("_id", any_of(sorted(ids))), ("_count", str(_COUNT))]
                found.know(every(self._transaction, self._store, kind, parameters))

    def _pages(self, resource_type: str, parameters: list[tuple[str, str]]) -> Iterator[SearchPage]:
        chosen = [("patient", self._chosen), *parameters]
        return pages(self._transaction, self._store, resource_type, chosen)

    def _hospital(self, patient_id: str) -> Hospital:
        return self._hospitals.get(patient_id, Hospital("", ""))


def _reference(resource: JsonObject) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _references(patients: Iterable[SourcePatient]) -> str:
    return any_of([f"Patient/{each.id}" for each in patients])


def _codes(value: JsonObject | None) -> set[str]:
    return {str(coding.get("code", "")) for coding in (value or {}).get("coding", ())}
