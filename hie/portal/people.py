"""Persons as a clinician looks for them, over the source Patients of all hospitals.

Every hospital's Patient stays what the hospital said. Patients that carry the
same resident ID number are shown as one person; those without one stand alone.
A card that leads to several persons is shown as a conflict, never resolved
here. This is no record linkage; it shows what the hospitals agree on.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pypinyin import lazy_pinyin

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import ResourceStore, SearchPage
from hie.portal import source_patient
from hie.portal.searches import any_of, escape, every, resources
from hie.portal.source_patient import FormerIdentity, Hospital, SourcePatient, mask

_LIMIT: Final = 60
_MANY: Final = "200"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An element that hospitals say differently ("name", "gender", "birth-date"): value and who says so."""

    element: str
    values: tuple[tuple[str, tuple[Hospital, ...]], ...]


@dataclass(frozen=True, slots=True)
class Person:
    """One person: the source Patients that agree on a resident ID number, or a single one without."""

    resident_id: str
    patients: tuple[SourcePatient, ...]

    @property
    def key(self) -> str:
        """The Patient id under which the person's page is found."""
        return self.patients[0].id

    @property
    def name(self) -> str:
        """The name that most hospitals have, the earlier one on a tie."""
        return _most([patient.name for patient in self.patients])

    @property
    def birth_date(self) -> str:
        """The birth date that most hospitals have, the earlier one on a tie."""
        return _most([patient.birth_date for patient in self.patients])

    @property
    def gender(self) -> str:
        """The administrative gender that most hospitals have, "unknown" when none says it."""
        return _most([patient.gender for patient in self.patients]) or "unknown"

    @property
    def deceased(self) -> str:
        """The date of death or "true" when any hospital says so, else ""."""
        return max((patient.deceased for patient in self.patients if patient.deceased), default="", key=len)

    @property
    def masked_id(self) -> str:
        """The resident ID number with the birth date hidden."""
        return mask(self.resident_id)

    @property
    def hospitals(self) -> tuple[Hospital, ...]:
        """The hospitals that know the person, each once."""
        return tuple(dict.fromkeys(patient.hospital for patient in self.patients))

    @property
    def former(self) -> tuple[tuple[Hospital, FormerIdentity], ...]:
        """Whom hospitals had under the same Patient before; empty where that was not asked for."""
        return tuple((patient.hospital, each) for patient in self.patients for each in patient.former)

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """What the hospitals do not agree about; a hospital that says nothing does not disagree."""
        elements = {
            "name": [(patient.name, patient.hospital) for patient in self.patients],
            "gender": [(patient.gender, patient.hospital) for patient in self.patients],
            "birth-date": [(patient.birth_date, patient.hospital) for patient in self.patients],
        }
        found: list[Disagreement] = []
        for element, said in elements.items():
            by_value: dict[str, dict[Hospital, None]] = {}
            for value, hospital in said:
                if value:
                    by_value.setdefault(value, {})[hospital] = None
            if len(by_value) > 1:
                found.append(
                    Disagreement(element, tuple((value, tuple(who)) for value, who in by_value.items()))
                )
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search found: persons in the order of their names, and whether there are more.

    `is_by_number` says that a number was searched for, and `is_conflict` that it leads to several persons.
    """

    is_by_number: bool
    persons: tuple[Person, ...]
    is_conflict: bool
    has_more: bool


def find(transaction: Transaction, store: ResourceStore, query: str) -> Finding:
    """Return the persons whose name begins with `query`, or who carry it as card or ID number."""
    query = normal_query(query)
    is_number = query.isascii() and any(sign.isdigit() for sign in query)
    page = SearchPage((), None, None)
    # Card numbers are compared as written; people type letters in either case.
    spellings = dict.fromkeys((query, query.upper(), query.lower())) if is_number else ()
    for name, spelled in (*(("identifier", each) for each in spellings), ("name", query)):
        page = store.search(transaction, "Patient", [(name, escape(spelled)), ("_count", str(_LIMIT))])
        if page.entries:
            break
    persons = group(transaction, store, resources(page))
    return Finding(
        is_by_number=is_number,
        persons=tuple(sorted(persons, key=lambda person: (lazy_pinyin(person.name), person.key))),
        is_conflict=is_number and len(persons) > 1,
        has_more=page.next_cursor is not None,
    )


def normal_query(query: str) -> str:
    """Return what was typed without full-width forms (１２３) and blanks around it."""
    return unicodedata.normalize("NFKC", query).strip()


def person_of(transaction: Transaction, store: ResourceStore, patient_id: str) -> Person:
    """Return the person of one Patient; raises NotFoundError or DeletedError."""
    stored = store.read(transaction, "Patient", patient_id)
    patient: JsonObject = loads(stored.body or b"{}")
    return group(transaction, store, [patient])[0]


def persons_of(transaction: Transaction, store: ResourceStore, patient_ids: Sequence[str]) -> list[Person]:
    """Return the persons of several Patients in the order of the ids; ids that lead nowhere are left out."""
    if not patient_ids:
        return []
    patients = every(transaction, store, "Patient", [("_id", any_of(patient_ids))])
    by_id = {
        patient.id: person for person in group(transaction, store, patients) for patient in person.patients
    }
    return list(dict.fromkeys(by_id[each] for each in patient_ids if each in by_id))


def group(transaction: Transaction, store: ResourceStore, patients: Sequence[JsonObject]) -> list[Person]:
    """Return the persons of `patients`, each with all Patients that carry the same resident ID number."""
    numbers = list(dict.fromkeys(filter(None, map(source_patient.resident_id, patients))))
    all_patients = {patient["id"]: patient for patient in patients}
    if numbers:
        spelled = [each for number in numbers for each in dict.fromkeys((number, number.lower()))]
        parameters = [("identifier", any_of(spelled)), ("_count", _MANY)]
        for patient in every(transaction, store, "Patient", parameters):
            if source_patient.resident_id(patient) in numbers:
                all_patients.setdefault(patient["id"], patient)
    hospitals = _hospitals(transaction, store, all_patients.values())
    persons: dict[str, list[SourcePatient]] = {}
    for patient in all_patients.values():
        source = source_patient.read(patient, hospitals)
        persons.setdefault(source.resident_id or source.id, []).append(source)
    return [
        Person(
            members[0].resident_id,
            tuple(sorted(members, key=lambda member: (member.hospital.name, member.id))),
        )
        for members in persons.values()
    ]


def _hospitals(
    transaction: Transaction, store: ResourceStore, patients: Iterable[JsonObject]
) -> dict[str, Hospital]:
    ids = sorted(set(filter(None, map(source_patient.organization_id, patients))))
    if not ids:
        return {}
    parameters = [("_id", any_of(ids)), ("_count", _MANY)]
    found = every(transaction, store, "Organization", parameters)
    return {each["id"]: Hospital(each["id"], str(each.get("name", ""))) for each in found}


def _most(values: Sequence[str]) -> str:
    said = [value for value in values if value]
    return max(said, key=said.count) if said else ""
