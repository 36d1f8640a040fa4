"""One timeline over all hospitals: encounters, diagnoses, orders, results and medication, newest first.

Pure: takes FHIR resources, returns what the page shows. Results stand under their
report, an order whose report or prescription is there is not shown twice, and a
diagnosis stands in its encounter where that is shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from hie.core.fhir.json import JsonObject
from hie.portal.elements import Time, bounds, concept, concept_with_code, names, quantity, start, time
from hie.portal.results import Flag, Result, results_of
from hie.portal.source_patient import Hospital


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


@dataclass(frozen=True, slots=True)
class Day:
    """The entries of one day, newest first; `date` is None for those without a time."""

    date: date | None
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What an entry's resource says beyond what all have."""

    kind: Kind
    time: Time | None
    title: str
    title_group: str = ""
    until: Time | None = None
    details: tuple[Detail, ...] = ()
    results: tuple[Result, ...] = ()


class Known(Mapping[str, JsonObject]):
    """Resources by reference (``Location/1``): what entries refer to."""

    def __init__(self, resources: Iterable[JsonObject]) -> None:
        """Take the resources in any order."""
        self._by_reference = {f"{each['resourceType']}/{each['id']}": each for each in resources}

    def __getitem__(self, reference: str) -> JsonObject:
        """Return the resource of a reference."""
        return self._by_reference[reference]

    def __iter__(self) -> "Iterable[str]":  # type: ignore[override] # an Iterator, by dict's own hint
        """Return the references."""
        return iter(self._by_reference)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_reference)
