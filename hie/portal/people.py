"""Persons as a clinician looks for them, over the source Patients of all hospitals.

Every hospital's Patient stays what the hospital said. Patients that carry the
same resident ID number are shown as one person; those without one stand alone.
A card that leads to several persons is shown as a conflict, never resolved
here. This is no record linkage; it shows what the hospitals agree on.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pypinyin import lazy_pinyin

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import ResourceStore

# GB 11643 number of a citizen: its OID in the Chinese shared documents (WS/T 483, WS/T 500).
RESIDENT_ID: Final = "urn:oid:2.16.156.10011.1.3"
_LIMIT: Final = 60
_HEAD: Final = 6
_TAIL: Final = 4
_NUMBER: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z\-./]{3,}")


@dataclass(frozen=True, slots=True)
class SourcePatient:
    """One hospital's Patient: its id, the hospital's name, and the numbers it carries as (kind, value)."""

    id: str
    hospital: str
    name: str
    gender: str
    birth_date: str
    resident_id: str
    numbers: tuple[tuple[str, str], ...]
    is_active: bool


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
        names = [patient.name for patient in self.patients if patient.name]
        return max(names, key=names.count) if names else ""

    @property
    def birth_date(self) -> str:
        """The birth date, from the first hospital that has one."""
        return next((patient.birth_date for patient in self.patients if patient.birth_date), "")

    @property
    def gender(self) -> str:
        """The administrative gender, from the first hospital that has one."""
        return next((patient.gender for patient in self.patients if patient.gender), "unknown")

    @property
    def masked_id(self) -> str:
        """The resident ID number with the birth date hidden."""
        return mask(self.resident_id)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search found: persons in the order of their names, and whether there are more."""

    persons: tuple[Person, ...]
    is_conflict: bool
    has_more: bool


def mask(number: str) -> str:
    """Return a number with its middle hidden: the first six and the last four characters stay."""
    shown = _HEAD + _TAIL
    return number if len(number) <= shown else number[:_HEAD] + "*" * (len(number) - shown) + number[-_TAIL:]


def find(transaction: Transaction, store: ResourceStore, query: str) -> Finding:
    """Return the persons whose name begins with `query`, or who carry it as card or ID number."""
    query = query.strip()
    is_number = _NUMBER.fullmatch(query) is not None and any(sign.isdigit() for sign in query)
    parameters = [("identifier" if is_number else "name", _escape(query.upper() if is_number else query))]
    page = store.search(transaction, "Patient", [*parameters, ("_count", str(_LIMIT))])
    if is_number and not page.entries and query.upper() != query:
        page = store.search(transaction, "Patient", [("identifier", _escape(query)), ("_count", str(_LIMIT))])
    persons = group(transaction, store, [_body(entry.resource.body) for entry in page.entries])
    return Finding(
        persons=tuple(sorted(persons, key=lambda person: lazy_pinyin(person.name))),
        is_conflict=is_number and len(persons) > 1,
        has_more=page.next_cursor is not None,
    )


def person_of(transaction: Transaction, store: ResourceStore, patient_id: str) -> Person:
    """Return the person of one Patient; raises NotFoundError or DeletedError."""
    stored = store.read(transaction, "Patient", patient_id)
    return group(transaction, store, [_body(stored.body)])[0]


def group(transaction: Transaction, store: ResourceStore, patients: Sequence[JsonObject]) -> list[Person]:
    """Return the persons of `patients`, each with all Patients that carry the same resident ID number."""
    numbers = list(dict.fromkeys(filter(None, (_resident_id(patient) for patient in patients))))
    all_patients = {patient["id"]: patient for patient in patients}
    if numbers:
        wanted = ",".join(f"{RESIDENT_ID}|{_escape(number)}" for number in numbers)
        page = store.search(transaction, "Patient", [("identifier", wanted), ("_count", "500")])
        for entry in page.entries:
            all_patients.setdefault(entry.resource.id, _body(entry.resource.body))
    hospitals = _hospital_names(transaction, store, all_patients.values())
    persons: dict[str, list[SourcePatient]] = {}
    for patient in all_patients.values():
        source = _source(patient, hospitals)
        persons.setdefault(source.resident_id or source.id, []).append(source)
    return [
        Person(
            members[0].resident_id, tuple(sorted(members, key=lambda member: (member.hospital, member.id)))
        )
        for members in persons.values()
    ]


def _hospital_names(
    transaction: Transaction, store: ResourceStore, patients: Iterable[JsonObject]
) -> dict[str, str]:
    references = {patient.get("managingOrganization", {}).get("reference", "") for patient in patients}
    ids = sorted(reference.partition("/")[2] for reference in references if "/" in reference)
    if not ids:
        return {}
    page = store.search(transaction, "Organization", [("_id", ",".join(ids)), ("_count", "500")])
    return {
        f"Organization/{entry.resource.id}": _body(entry.resource.body).get("name", "")
        for entry in page.entries
    }


def _source(patient: JsonObject, hospitals: dict[str, str]) -> SourcePatient:
    reference = patient.get("managingOrganization", {}).get("reference", "")
    numbers = tuple(
        (_kind(identifier), str(identifier["value"]))
        for identifier in patient.get("identifier", ())
        if identifier.get("value") and identifier.get("system") != RESIDENT_ID
    )
    return SourcePatient(
        id=patient["id"],
        hospital=hospitals.get(reference, "") or reference,
        name=display_name(patient),
        gender=patient.get("gender", ""),
        birth_date=patient.get("birthDate", ""),
        resident_id=_resident_id(patient),
        numbers=tuple(dict.fromkeys(numbers)),
        is_active=patient.get("active", True),
    )


def display_name(patient: JsonObject) -> str:
    """Return the name as written; Chinese names without a space between family and given name."""
    names = sorted(
        patient.get("name", ()), key=lambda name: name.get("use") not in {"official", "usual", None}
    )
    for name in names:
        if name.get("text"):
            return str(name["text"])
        family, given = str(name.get("family", "")), [str(part) for part in name.get("given", ())]
        is_latin = (family + "".join(given)).isascii()
        joined = (" " if is_latin else "").join(filter(None, [family, *given]))
        if joined:
            return joined
    return ""


def _resident_id(patient: JsonObject) -> str:
    for identifier in patient.get("identifier", ()):
        if identifier.get("system") == RESIDENT_ID and identifier.get("value"):
            return str(identifier["value"])
    return ""


def _kind(identifier: JsonObject) -> str:
    kind = identifier.get("type", {})
    codings = kind.get("coding", [{}])
    return str(kind.get("text") or codings[0].get("display") or codings[0].get("code") or "")


def _escape(value: str) -> str:
    for sign in "\\,|$":
        value = value.replace(sign, "\\" + sign)
    return value


def _body(body: bytes | None) -> JsonObject:
    resource: JsonObject = loads(body) if body else {}
    return resource
