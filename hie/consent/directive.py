"""A citizen's wish about who sees the record, as a Consent, and any privacy Consent as clauses to be read.

Pure. https://hl7.org/fhir/R4/consent.html; the Consents made here say no more than what `hie.consent.rules`
decides by: whom they mean (everybody but one organization, or one organization), what, and until when.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from hie.consent.rules import RESOURCE_TYPES, SCOPE
from hie.core.fhir.json import JsonObject

ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"

Kind = Literal["not", "only"]
"""That an organization may not see something, or that only it may."""


@dataclass(frozen=True, slots=True)
class Directive:
    """What a citizen wants.

    `organization` is an id, "" for all (with "not" only); `types` are resource types and `labels` system and
    code of security labels, both empty for the whole record; `until` is the last day, None for no end.
    """

    kind: Kind
    organization: str
    types: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """One provision, `depth` levels below the root; what is empty means everybody, or everything."""

    depth: int
    is_denied: bool
    actors: tuple[str, ...]
    types: tuple[str, ...]
    labels: tuple[str, ...]
    purposes: tuple[str, ...]
    since: str
    until: str


def consent_of(directive: Directive, patient: str, *, now: datetime) -> JsonObject:
    """Return the Consent of the Patient with the id `patient`."""
    provision: JsonObject = {"type": "deny"}
    if directive.until is not None:
        provision["period"] = {"start": now.date().isoformat(), "end": directive.until.isoformat()}
    actor: list[JsonObject] = [
        {
            "role": {"coding": [{"system": _PARTICIPATION, "code": "IRCP"}]},
            "reference": {"reference": f"Organization/{directive.organization}"},
        }
    ]
    if directive.kind == "not" and directive.organization:
        provision["actor"] = actor
    if directive.types:
        provision["class"] = [{"system": RESOURCE_TYPES, "code": each} for each in directive.types]
    if directive.labels:
        provision["securityLabel"] = [{"system": system, "code": code} for system, code in directive.labels]
    if directive.kind == "only":
        provision["provision"] = [{"type": "permit", "actor": actor}]
    system, code = SCOPE
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": system, "code": code}]},
        "category": [{"coding": [{"system": ACT_CODE, "code": "INFA"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": now.isoformat(timespec="seconds"),
        # ppc-1: "Either a Policy or PolicyRule"
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]},
        "provision": provision,
    }


def clauses_of(consent: JsonObject) -> list[Clause]:
    """Return what a Consent says, the root first; what contradicts itself is shown as it stands."""
    return list(_clauses(consent.get("provision") or {}, 0))


def _clauses(provision: JsonObject, depth: int) -> Iterator[Clause]:
    if provision.get("type") in ("deny", "permit"):
        period = provision.get("period") or {}
        yield Clause(
            depth,
            provision["type"] == "deny",
            tuple(
                each["reference"].get("display") or each["reference"].get("reference", "")
                for each in provision.get("actor", ())
            ),
            _codes(provision.get("class", ())),
            _codes(provision.get("securityLabel", ())),
            _codes(provision.get("purpose", ())),
            str(period.get("start", "")),
            str(period.get("end", "")),
        )
    for each in provision.get("provision", ()):
        yield from _clauses(each, depth + 1)


def _codes(codings: Sequence[JsonObject]) -> tuple[str, ...]:
    return tuple(str(each.get("code", "")) for each in codings)
