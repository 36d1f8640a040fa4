"""A person's record in pages of whole days, read through the `ResourceStore` port.

A page is bounded by a date, not by an offset: it holds every entry of the days
from `since` up to, but without, `before`. Its length adapts: further days are
added until there is something to read. A resource without any date that the
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
from hie.portal.elements import start
from hie.portal.entries import READERS, Kind, ordered_by
from hie.portal.people import Person, escape, resources
from hie.portal.source_patient import Hospital, SourcePatient
from hie.portal.timeline import Day, Event

# Days that a page looks back, one after the other, until it has _ENOUGH entries.
_REACHES: Final = (7, 30, 120, 480)
_ENOUGH: Final = 25
# Resources of one search; a page of one type holds about as many at most (a day is never cut).
_COUNT: Final = 200


@dataclass(frozen=True, slots=True)
class Stream:
    """How a resource type is found by time: its date parameters, the first that has a value counts.

    `elements` are those that the parameters read (https://hl7.org/fhir/R4/searchparameter-registry.html).
    """

    type: str
    dates: tuple[tuple[str, str], ...]
    included: tuple[tuple[str, str], ...] = ()
    # Newest first is by where a period ends, and an open one never does: the order of such a type
    # says nothing about where its resources begin.
    has_open_periods: bool = False


STREAMS: Final[dict[Kind, tuple[Stream, ...]]] = {
    Kind.ENCOUNTER: (
        Stream(
            "Encounter",
            (("date", "period"),),
            (("_include", "Encounter:location"), ("_include", "Encounter:diagnosis")),
            has_open_periods=True,
        ),
    ),
    Kind.CONDITION: (Stream("Condition", (("recorded-date", "recordedDate"), ("onset-date", "onset"))),),
    Kind.RESULT: (
        Stream(
            "DiagnosticReport",
            (("date", "effective"), ("issued", "issued")),
            (("_include", "DiagnosticReport:result"),),
        ),
        Stream("Observation", (("date", "effective"),), (("_revinclude", "DiagnosticReport:result"),)),
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


@dataclass
class _Found:
    """What was read so far: by reference, the resources to show and all that are at hand."""

    shown: dict[str, JsonObject] = field(default_factory=dict)
    known: dict[str, JsonObject] = field(default_factory=dict)

    def take(self, page: SearchPage) -> list[JsonObject]:
        """Take a page of a search; return its matches."""
        matches = [entry for entry in page.entries if entry.mode == "match"]
        found = resources(SearchPage(tuple(matches), None, None))
        for resource in found:
            self.shown[_reference(resource)] = self.known[_reference(resource)] = resource
        self.know(resources(SearchPage(page.entries[len(matches) :], None, None)))
        return found

    def know(self, resources: Iterable[JsonObject]) -> None:
        """Take resources that entries refer to."""
        for resource in resources:
            self.known.setdefault(_reference(resource), resource)


class Record:
    """Reads one person's record; `today` is where the first page begins to look back."""

    def __init__(
        self,
        transaction: Transaction,
        store: ResourceStore,
        person: Person,
        *,
        zone: ZoneInfo,
        today: date,
        kinds: Sequence[Kind] = tuple(Kind),
        hospital: str = "",
    ) -> None:
        """Take the person; `kinds` and `hospital` (an Organization id, "" for all) narrow what is read."""
        self._transaction = transaction
        self._store = store
        self._zone = zone
        self._today = today
        self._kinds = kinds
        self._hospitals = {each.id: each.hospital for each in person.patients}
        self._patients = _references(person.patients)
        self._chosen = _references(each for each in person.patients if hospital in {"", each.hospital.id})
        # A prescription tells of its order, so orders are not read without prescriptions.
        read = [*kinds, Kind.MEDICATION] if Kind.ORDER in kinds and Kind.MEDICATION not in kinds else kinds
        self._streams = [stream for kind in read for stream in STREAMS[kind]]

    def allergies(self) -> list[tuple[JsonObject, Hospital]]:
        """Return every AllergyIntolerance of all hospitals; those entered in error are left out."""
        pages = self._pages("AllergyIntolerance", [("_count", str(_COUNT))], self._patients)
        found = [each for page in pages for each in resources(page)]
        return [
            (each, self._hospital(str(each.get("patient", {}).get("reference", "")).rpartition("/")[2]))
            for each in found
            if not _has_code(each.get("verificationStatus"), "entered-in-error")
        ]

    def page(self, before: date | None) -> RecordPage:
        """Return the page of the days before `before`; the newest when it is None."""
        if not self._chosen:
            return RecordPage((), None)
        found = _Found()
        undated = self._undated(found)
        anchor = before or self._today + timedelta(days=1)
        since, until = None, before
        for reach in (*_REACHES, None):
            wanted = None if reach is None else anchor - timedelta(days=reach)
            since = self._read_days(found, wanted, until)
            events = self._events(found, undated, since, before)
            if since is None or since != wanted or len(events) >= _ENOUGH:
                break
            until = since
        if since is not None and not self._has_older(found, undated, since):
            since = None
            events = self._events(found, undated, None, before)
        return RecordPage(tuple(timeline.by_day(events)), since)

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

    def _has_older(self, found: _Found, undated: Sequence[JsonObject], since: date) -> bool:
        days = (self._day(each, found) for each in undated)
        if any(day is not None and day < since for day in days):
            return True
        return any(
            self._search(stream.type, [*self._dated(stream, number, None, since), ("_count", "1")])
            for stream in self._streams
            for number in range(len(stream.dates))
        )

    def _undated(self, found: _Found) -> list[JsonObject]:
        """Take the resources that no date parameter finds; return them."""
        undated: list[JsonObject] = []
        for stream in self._streams:
            missing = [(f"{name}:missing", "true") for name, _element in stream.dates]
            for page in self._pages(stream.type, [*missing, *stream.included, ("_count", str(_COUNT))]):
                undated.extend(found.take(page))
        self._resolve(found)
        return undated

    def _read_days(self, found: _Found, since: date | None, until: date | None) -> date | None:
        """Take what lies from `since` up to `until`; return the date from which on all of it was taken.

        That is later than `since` where a type has so much that the page would grow without end.
        """
        for stream in self._streams:
            for number in range(len(stream.dates)):
                complete = self._read_stream(found, stream, number, since, until)
                if complete is not None:
                    since = max(complete, since or complete)
        self._resolve(found)
        return since

    def _read_stream(
        self, found: _Found, stream: Stream, number: int, since: date | None, until: date | None
    ) -> date | None:
        """Take one stream, newest first; return the day after the last if it was left before its end."""
        name, element = stream.dates[number]
        parameters = [
            *self._dated(stream, number, since, until),
            *stream.included,
            ("_sort", f"-{name}"),
            ("_count", str(_COUNT)),
        ]
        newest: date | None = None
        for page in self._pages(stream.type, parameters):
            matches = found.take(page)
            days = [at.at.date() for each in matches if (at := start(each, element, zone=self._zone))]
            if stream.has_open_periods or not days:
                continue
            newest = newest or days[0]
            if page.next_cursor is not None and days[-1] < newest:
                return days[-1] + timedelta(days=1)
        return None

    def _dated(
        self, stream: Stream, number: int, since: date | None, until: date | None
    ) -> list[tuple[str, str]]:
        """Return the parameters for what begins from `since` up to `until` by one of the date parameters."""
        name, _element = stream.dates[number]
        parameters = [(f"{each}:missing", "true") for each, _element in stream.dates[:number]]
        if since is not None:
            # "sa" compares where the range begins; "ge" would find every open Encounter again.
            parameters.append((name, f"sa{(self._midnight(since) - timedelta(seconds=1)).isoformat()}"))
        if until is not None:
            parameters.append((name, f"lt{self._midnight(until).isoformat()}"))
        if since is None and until is None:
            parameters.append((f"{name}:missing", "false"))
        return parameters

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, self._zone)

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
            for chunk in _chunks(sorted(ids)):
                listed = ",".join(escape(each) for each in chunk)
                page = self._store.search(self._transaction, kind, [("_id", listed), ("_count", str(_COUNT))])
                found.know(resources(page))

    def _pages(
        self, resource_type: str, parameters: list[tuple[str, str]], patients: str | None = None
    ) -> Iterator[SearchPage]:
        cursor: list[tuple[str, str]] = []
        while True:
            page = self._store.search(
                self._transaction, resource_type, [("patient", patients or self._chosen), *parameters, *cursor]
            )
            yield page
            if page.next_cursor is None:
                return
            cursor = [("_cursor", page.next_cursor)]

    def _search(self, resource_type: str, parameters: list[tuple[str, str]]) -> list[JsonObject]:
        """Return the first page of a search among the person's resources."""
        return resources(next(self._pages(resource_type, parameters)))

    def _hospital(self, patient_id: str) -> Hospital:
        return self._hospitals.get(patient_id, Hospital("", ""))


def _reference(resource: JsonObject) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _references(patients: Iterable[SourcePatient]) -> str:
    return ",".join(escape(f"Patient/{each.id}") for each in patients)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), _COUNT):
        yield ids[first : first + _COUNT]


def _has_code(concept: JsonObject | None, code: str) -> bool:
    return any(coding.get("code") == code for coding in (concept or {}).get("coding", ()))
