"""Whom a hospital's Patient stood for in its earlier versions.

A borrowed or reissued card makes a hospital overwrite one person by another under the
same number: the current version tells of one, the record may hold entries of both. Read
from the version history; nothing is decided or repaired here.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from fhir_server.store.read import HistoryPage
from hie.core.db.database import Transaction
from hie.core.fhir.json import loads
from hie.core.ports import ResourceStore
from hie.portal import source_patient
from hie.portal.people import Finding, Person
from hie.portal.source_patient import FormerIdentity, Hospital, SourcePatient

_VERSIONS: Final = 100
_NO_HOSPITALS: Final[Mapping[str, Hospital]] = {}


class VersionedStore(ResourceStore, Protocol):
    """A repository that tells the earlier versions of a resource."""

    def history(
        self,
        transaction: Transaction,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        since: datetime | None = None,
        before: int | None = None,
    ) -> HistoryPage:
        """Return versions of one resource, newest first; raises NotFoundError."""
        ...


def of_finding(transaction: Transaction, store: VersionedStore, finding: Finding) -> Finding:
    """Return the finding with the former identities of its persons; one with any is a conflict."""
    persons = tuple(of_person(transaction, store, person) for person in finding.persons)
    has_former = any(person.former for person in persons)
    return replace(finding, persons=persons, is_conflict=finding.is_conflict or has_former)


def of_person(transaction: Transaction, store: VersionedStore, person: Person) -> Person:
    """Return the person with the former identities of each source Patient."""
    patients = tuple(
        replace(patient, former=_former(transaction, store, patient)) if patient.version > 1 else patient
        for patient in person.patients
    )
    return replace(person, patients=patients)


def _former(
    transaction: Transaction, store: VersionedStore, patient: SourcePatient
) -> tuple[FormerIdentity, ...]:
    """Return the other persons among the latest versions, each once, the one seen last first."""
    page = store.history(transaction, "Patient", patient.id, count=_VERSIONS)
    # Each list is one person, the first is today's; a version joins the person that it resembles.
    persons = [[_identity(patient, None)]]
    for entry in page.entries:
        if entry.resource.body is None:
            continue
        earlier = source_patient.read(loads(entry.resource.body), _NO_HOSPITALS)
        identity = _identity(earlier, entry.resource.last_updated)
        own = next((each for each in persons if any(is_same(identity, other) for other in each)), None)
        if own is not None:
            own.append(identity)
        elif all(is_other(identity, other) for other in persons[0]):
            persons.append([identity])
    return tuple(person[0] for person in persons[1:])


def is_same(one: FormerIdentity, other: FormerIdentity) -> bool:
    """Whether two identities are of one person: the same resident ID number, else name or birth date.

    A correction changes one of the two; where both change, an identity in between may tell.
    """
    if one.resident_id and other.resident_id:
        return one.resident_id == other.resident_id
    return one.name == other.name != "" or one.birth_date == other.birth_date != ""


def is_other(one: FormerIdentity, other: FormerIdentity) -> bool:
    """Whether two identities are of different persons, as far as can be said.

    By their resident ID numbers where both have one, else when both name and birth date
    are given and differ: a corrected name alone is no other person.
    """
    if one.resident_id and other.resident_id:
        return one.resident_id != other.resident_id
    has_both = all((one.name, other.name, one.birth_date, other.birth_date))
    return has_both and one.name != other.name and one.birth_date != other.birth_date


def _identity(patient: SourcePatient, last_seen: datetime | None) -> FormerIdentity:
    return FormerIdentity(patient.name, patient.gender, patient.birth_date, patient.resident_id, last_seen)
