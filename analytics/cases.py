"""From a Condition of the shared record to a case that the early warning counts.

Pure. A Condition is a case when a coding is an ICD-10 code of a surveilled group and
it was not refuted or entered in error. It is counted on the day it was recorded, else
began, in the zone of the city.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from analytics.condition_groups import ConditionGroup, group_of
from hie.core.fhir.json import JsonObject

# The URI of ICD-10 in FHIR and its OID (https://terminology.hl7.org/CodeSystem-icd10.html); national editions
# keep the WHO categories, and their URIs and local names all contain one of these.
_ICD_10: Final = ("icd-10", "icd10", "2.16.840.1.113883.6.3", "/i10")
_REFUTED: Final = frozenset({"refuted", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its group and the day it counts on."""

    group: ConditionGroup
    day: date


def case_of(condition: JsonObject, zone: ZoneInfo) -> Case | None:
    """Return the case that `condition` is, None when it is none or has no day."""
    if any(coding.get("code") in _REFUTED for coding in _codings(condition.get("verificationStatus"))):
        return None
    for coding in _codings(condition.get("code")):
        system = str(coding.get("system", "")).lower()
        group = group_of(str(coding.get("code", ""))) if any(mark in system for mark in _ICD_10) else None
        if group is not None:
            day = _day(condition, zone)
            return Case(group, day) if day else None
    return None


def _day(condition: JsonObject, zone: ZoneInfo) -> date | None:
    for element in ("recordedDate", "onsetDateTime"):
        text = str(condition.get(element, ""))
        if "T" in text:
            return datetime.fromisoformat(text).astimezone(zone).date()
        if len(text) == len("2026-11-22"):
            return date.fromisoformat(text)
    updated = condition.get("meta", {}).get("lastUpdated")
    return datetime.fromisoformat(updated).astimezone(zone).date() if updated else None


def _codings(concept: JsonObject | None) -> list[JsonObject]:
    return list((concept or {}).get("coding", ()))
