"""One hospital's Patient as the pages show it: names, numbers, and the hospital it belongs to.

Pure: takes a FHIR Patient, changes nothing of what the hospital said.
https://hl7.org/fhir/R4/patient.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hie.core.fhir.json import JsonObject
from hie.core.masking import is_masked
from hl7_gateway.datatypes.national import gb_11643

# GB 11643 number of a citizen: its OID in the Chinese shared documents (WS/T 483, WS/T 500).
RESIDENT_ID: Final = "urn:oid:2.16.156.10011.1.3"
# Where the number holds the birth date.
_BORN: Final = slice(6, 14)
_HEAD: Final = 6
_TAIL: Final = 4
_OFFICIAL: Final = frozenset({"official", "usual", None})


@dataclass(frozen=True, slots=True)
class Hospital:
    """Who holds a record: the Organization's id ("" when the Patient names none) and its name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A card or patient number: its type code (table 0203), the type's own text, and the value."""

    code: str
    text: str
    value: str

    @property
    def shown(self) -> str:
        """The value, masked where it is somebody's resident ID number."""
        return mask(self.value) if gb_11643(self.value) else self.value


@dataclass(frozen=True, slots=True)
class FormerIdentity:
    """Whom an earlier version of a Patient stood for, and when that version was stored."""

    name: str
    gender: str
    birth_date: str
    resident_id: str
    last_seen: datetime | None

    @property
    def masked_id(self) -> str:
        """The resident ID number with the birth date hidden."""
        return mask(self.resident_id)


@dataclass(frozen=True, slots=True)
class SourcePatient:
    """One hospital's Patient; what the hospital did not say is "".

    `deceased` is the date of death, or "true" where only the fact is known.
    """

    id: str
    hospital: Hospital
    name: str
    gender: str
    birth_date: str
    deceased: str
    resident_id: str
    numbers: tuple[Number, ...]
    is_active: bool
    version: int
    former: tuple[FormerIdentity, ...] = ()


def read(patient: JsonObject, hospitals: Mapping[str, Hospital]) -> SourcePatient:
    """Return the source patient of a Patient; `hospitals` by Organization id."""
    organization = organization_id(patient)
    deceased = patient.get("deceasedDateTime") or patient.get("deceasedBoolean")
    return SourcePatient(
        id=str(patient["id"]),
        hospital=hospitals.get(organization, Hospital(organization, "")),
        name=display_name(patient),
        gender=str(patient.get("gender", "")),
        birth_date=str(patient.get("birthDate", "")),
        deceased="true" if deceased is True else str(deceased or ""),
        resident_id=resident_id(patient),
        numbers=_numbers(patient),
        is_active=bool(patient.get("active", True)),
        version=int(patient.get("meta", {}).get("versionId", 1)),
    )


def mask(number: str) -> str:
    """Return a number with its middle hidden: the first six and the last four characters stay."""
    shown = _HEAD + _TAIL
    return number if len(number) <= shown else number[:_HEAD] + "*" * (len(number) - shown) + number[-_TAIL:]


def organization_id(patient: JsonObject) -> str:
    """Return the id of the managing Organization, "" when there is none."""
    reference = str(patient.get("managingOrganization", {}).get("reference", ""))
    kind, _, rest = reference.partition("/")
    return rest if kind == "Organization" else ""


def resident_id(patient: JsonObject) -> str:
    """Return the resident ID number, "" when there is none.

    That is the number which the hospital names so. Some send it among their own numbers: one
    that has the right check digit and holds the Patient's own birth date is taken for it as well
    (a child's record may carry the number of a parent). A number that is masked for the reader is none.
    """
    values = [
        (identifier.get("system") == RESIDENT_ID, str(identifier["value"]))
        for identifier in patient.get("identifier", ())
        if identifier.get("value") and not (is_masked(patient) and "*" in str(identifier["value"]))
    ]
    birth_date = str(patient.get("birthDate", "")).replace("-", "")
    named = (value.upper() for is_named, value in values if is_named)
    unnamed = (value.upper() for _, value in values if gb_11643(value) and value[_BORN] == birth_date)
    return next(named, "") or next(unnamed, "")


def display_name(patient: JsonObject) -> str:
    """Return the name as written; Chinese names without a space between family and given name."""
    names = sorted(patient.get("name", ()), key=lambda name: name.get("use") not in _OFFICIAL)
    for name in names:
        if name.get("text"):
            return str(name["text"])
        parts = [str(part) for part in (name.get("family", ""), *name.get("given", ())) if part]
        if parts:
            is_latin = "".join(parts).isascii()
            return " ".join(parts[1:] + parts[:1]) if is_latin and name.get("family") else "".join(parts)
    return ""


def _numbers(patient: JsonObject) -> tuple[Number, ...]:
    found: dict[Number, None] = {}
    own = resident_id(patient)
    for identifier in patient.get("identifier", ()):
        if str(identifier.get("value", "")).upper() not in {"", own}:
            kind = identifier.get("type", {})
            coding = (kind.get("coding") or [{}])[0]
            text = str(kind.get("text") or coding.get("display") or "")
            found[Number(str(coding.get("code", "")), text, str(identifier["value"]))] = None
    return tuple(found)
