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
from hie.core.ports import ResourceStore
from hie.portal import timeline
from hie.portal.elements import start
from hie.portal.entries import Kind, ordered_by
from hie.portal.people import Person, escape, resources
from hie.portal.source_patient import Hospital
from hie.portal.timeline import Day, Event

# Days that a page looks back, one after the other, until it has _ENOUGH entries.
_REACHES: Final = (7, 30, 120, 480)
_ENOUGH: Final = 25
# Resources of one search; a page of one type holds about as many at most (a day is never cut).
_COUNT: Final = 200
_UNDATED_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Stream:
    """How a resource type is found by time: its date parameters, the first that has a value counts.

    `elements` are those that the parameters read (https://hl7.org/fhir/R4/searchparameter-registry.html).
    """

    type: str
    dates: tuple[tuple[str, str], ...]
    included: tuple[tuple[str, str], ...] = ()


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

    def take(self, matches: Iterable[JsonObject], included: Iterable[JsonObject]) -> None:
        for resource in matches:
            self.shown[_reference(resource)] = self.known[_reference(resource)] = resource
        for resource in included:
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
        members = [each for each in person.patients if hospital in {"", each.hospital.id}]
        self._hospitals = {each.id: each.hospital for each in members}
        self._patients = ",".join(escape(f"Patient/{each.id}") for each in members)
        self._streams = [stream for kind in kinds for stream in STREAMS[kind]]

    def allergies(self) -> list[tuple[JsonObject, Hospital]]:
        """Return every AllergyIntolerance with its hospital; those entered in error are left out."""
        found, _ = self._search("AllergyIntolerance", [("_count", str(_UNDATED_LIMIT))])
        return [
            (each, self._hospital(str(each.get("patient", {}).get("reference", "")).rpartition("/")[2]))
            for each in found
            if not _has_code(each.get("verificationStatus"), "entered-in-error")
        ]

    def page(self, before: date | None) -> RecordPage:
        """Return the page of the days before `before`; the newest when it is None."""
        if not self._patients:
            return RecordPage((), None)
        found = _Found()
        undated = self._undated(found)
        until = before
        for days in (*_REACHES, None):
            since = None if days is None else (before or self._today + timedelta(days=1)) - timedelta(days=days)
            since = self._read_days(found, since, until)
            events = self._events(found, undated, since, before)
            if since is None or len(events) >= _ENOUGH:
                break
            until = since
        more = since is not None and self._has_older(undated, since)
        if since is not None and not more:
            events = self._events(found, undated, None, before)
        return RecordPage(tuple(timeline.by_day(events)), since if more else None)

    def _events(
        self, found: _Found, undated: Sequence[JsonObject], since: date | None, before: date | None
    ) -> list[Event]:
        in_time = (each for each in undated if self._stands_in(each, since, before))
        return timeline.build(
            [*found.shown.values(), *in_time], found.known, self._hospital, self._zone, self._kinds
        )
