"""De-identification of resources: what is left of each when its patient is to stay unknown. Pure.

By the tables of `deidentification.yaml`: direct identifiers and free text go, ids become pseudonyms, dates
lose month and day or are moved by a number of days that is the same for all of a patient's, ages from 90 on
are one, codings of local systems go. Of a Patient only what anonymity was measured by stays. Moved dates
are no Safe Harbor of 45 CFR 164.514(b)(2), which leaves the year alone: whoever chooses them answers for
it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final, Literal

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import resource_types
from hie.core.masking import PSEUDED, labelled
from hie.privacy.anonymity import Level, Quasi
from hie.privacy.deidentification_rules import DeidentificationRules
from hie.privacy.elements import Change, Changes, changed
from hie.privacy.pseudonyms import Pseudonyms

Dates = Literal["year", "shifted"]

_QUANTITIES: Final = ("Quantity", "Age", "Duration", "Count", "Distance")
# UCUM units of time, in years (https://ucum.org/ucum, mean Julian year).
_YEARS: Final[Mapping[str, float]] = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25}
_DAY: Final = len("2026-11-23")
_YEAR: Final = len("2026")


@dataclass(frozen=True, slots=True)
class Plan:
    """How an export is made: the level of generalisation, and who is left out, by id of the Patient."""

    level: Level
    left_out: frozenset[str]


class Deidentifier:
    """De-identifies the resources of one export."""

    def __init__(
        self,
        rules: DeidentificationRules,
        pseudonyms: Pseudonyms,
        plan: Plan,
        *,
        dates: Dates,
        today: date,
        base_url: str,
    ) -> None:
        """Take the tables, the project's pseudonyms, the plan, and the day that ages are counted at."""
        self._rules = rules
        self._pseudonyms = pseudonyms
        self._plan = plan
        self._dates = dates
        self._today = today
        self._base_url = base_url.rstrip("/") + "/"

    def of(self, resource: JsonObject) -> JsonObject | None:
        """Return what is exported of `resource`, None where that is nothing.

        Nothing is of types that are left out, of patients who are, and of what a modifier extension changes
        the meaning of.
        """
        kind, identity = str(resource.get("resourceType")), str(resource.get("id"))
        objects = list(_objects(resource))
        if kind in self._rules.left_out or any("modifierExtension" in each for each in objects):
            return None
        patients = {identity} if kind == "Patient" else set(self._patients(objects))
        if patients & self._plan.left_out:
            return None
        if kind == "Patient":
            made = self._patient(resource)
        else:
            days = None
            if self._dates == "shifted" and len(patients) == 1:
                days = self._pseudonyms.days_of(next(iter(patients)))
            inner = {name: each for name, each in resource.items() if name not in ("id", "meta")}
            made = {**changed(inner, self._changes(days)), "id": self._pseudonyms.of(kind, identity)}
        return labelled(made, PSEUDED)

    def _patient(self, patient: JsonObject) -> JsonObject:
        """Return the Patient with its generalised quasi-identifiers, and whether it lives, alone."""
        quasi = self._plan.level.of(quasi_of(patient, oldest=self._rules.oldest, today=self._today))
        made: JsonObject = {
            "resourceType": "Patient",
            "id": self._pseudonyms.of("Patient", str(patient.get("id"))),
        }
        if isinstance(patient.get("active"), bool):
            made["active"] = patient["active"]
        if quasi.gender is not None:
            made["gender"] = quasi.gender
        if quasi.born is not None:
            made["birthDate"] = f"{quasi.born:04}"
        if patient.get("deceasedDateTime") or patient.get("deceasedBoolean") is True:
            made["deceasedBoolean"] = True
        if quasi.region:
            made["address"] = [dict(zip(("state", "city"), quasi.region, strict=False))]
        return made

    def _patients(self, objects: Iterable[JsonObject]) -> Iterator[str]:
        for each in objects:
            reference = each.get("reference")
            kind, identity = self._target(reference) if isinstance(reference, str) else ("", "")
            if kind == "Patient":
                yield identity

    def _target(self, reference: str) -> tuple[str, str]:
        """Return type and id that a reference to this server names, empty for any other."""
        parts = reference.removeprefix(self._base_url).partition("/_history/")[0].split("/")
        if len(parts) == 2 and parts[0] in resource_types():  # noqa: PLR2004 - type and id
            return parts[0], parts[1]
        return "", ""

    @cached_property
    def _by_years(self) -> Changes:
        return self._made(None)

    def _changes(self, days: int | None) -> Changes:
        return self._by_years if days is None else self._made(days)

    def _made(self, days: int | None) -> Changes:
        by_type: dict[str, Change] = dict.fromkeys((n for n in self._rules.removed if "." not in n), _gone)
        by_path: dict[str, Change] = dict.fromkeys((n for n in self._rules.removed if "." in n), _gone)
        by_path |= dict.fromkeys(self._rules.kept, _kept)
        by_type |= {"date": _moved(days), "dateTime": _moved(days), "instant": _moved_instant(days)}
        by_type |= dict.fromkeys(_QUANTITIES, self._quantity)
        by_type |= {"Coding": self._coding, "Reference": self._reference, "id": self._contained_id}
        by_type["Meta"] = _gone
        return Changes(by_type, by_path, self._rules.left_out | {"Patient"})

    def _coding(self, value: JsonObject, _path: str) -> Json:
        system = value.get("system")
        if not isinstance(system, str) or not system.startswith(self._rules.systems):
            return None
        return {name: value[name] for name in ("system", "version", "code", "userSelected") if name in value}

    def _reference(self, value: JsonObject, _path: str) -> Json:
        reference = value.get("reference")
        if not isinstance(reference, str):
            return None
        if reference.startswith("#") and len(reference) > 1:
            return {"reference": f"#{self._pseudonyms.of('#', reference[1:])}"}
        kind, identity = self._target(reference)
        return {"reference": f"{kind}/{self._pseudonyms.of(kind, identity)}"} if kind else None

    def _contained_id(self, value: Json, _path: str) -> Json:
        return self._pseudonyms.of("#", value) if isinstance(value, str) else None

    def _quantity(self, value: JsonObject, _path: str) -> Json:
        """Return an amount without its unit's free text; an age from the highest on is that."""
        made = {name: value[name] for name in ("value", "comparator", "system", "code") if name in value}
        if not str(made.get("system", "http://unitsofmeasure.org")).startswith(self._rules.systems):
            del made["system"]
        number, unit = made.get("value"), _YEARS.get(str(made.get("code", value.get("unit"))))
        if unit is not None and isinstance(number, int | float) and number * unit >= self._rules.oldest:
            oldest = {"value": self._rules.oldest, "comparator": ">=", "system": "http://unitsofmeasure.org"}
            return {**oldest, "code": "a"}
        return made


def quasi_of(patient: JsonObject, *, oldest: int, today: date) -> Quasi:
    """Return the quasi-identifiers of a Patient; who is `oldest` years or more was born so long ago."""
    born: int | None = None
    given = patient.get("birthDate")
    if isinstance(given, str) and given[:_YEAR].isdigit():
        born = max(int(given[:_YEAR]), today.year - oldest)
    gender = patient.get("gender")
    addresses = patient.get("address")
    region: tuple[str, ...] = ()
    for address in addresses if isinstance(addresses, list) else ():
        named = [address.get(name) for name in ("state", "city")] if isinstance(address, dict) else []
        if named and isinstance(named[0], str):
            region = tuple(each for each in named if isinstance(each, str))
            break
    return Quasi(born, gender if isinstance(gender, str) else None, region)


def _objects(value: Json) -> Iterator[JsonObject]:
    """Return every object within `value`, itself included."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


def _gone(_value: Json, _path: str) -> Json:
    return None


def _kept(value: Json, _path: str) -> Json:
    return value


def _moved(days: int | None) -> Change:
    """Return what makes a date the year alone, or with `days` the day so many days before."""

    def moved(value: Json, _path: str) -> Json:
        text = str(value)
        if not text[:_YEAR].isdigit():
            return None
        if days is None or len(text) < _DAY:
            return text[:_YEAR]
        day = _before(text, days)
        return None if day is None else day.isoformat()

    return moved


def _moved_instant(days: int | None) -> Change:
    """Return what makes an instant midnight of the day so many days before; it has no year alone."""

    def moved(value: Json, _path: str) -> Json:
        day = None if days is None else _before(str(value), days)
        return None if day is None else f"{day.isoformat()}T00:00:00Z"

    return moved


def _before(text: str, days: int) -> date | None:
    try:
        return datetime.fromisoformat(text).date() - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
