"""A record of the audit trail in plain words: keys of texts, for citizens and auditors alike. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from hie.core.audit.queries import Found
from hie.core.audit.record import seen_of
from hie.core.fhir.json import JsonObject

DEEDS: Final = ("viewed", "searched", "added", "changed", "deleted", "sent", "forwarded", "emergency", "used")
OUTCOMES: Final = ("refused", "failed")
WHO: Final = ("self", "anonymous", "system")
TYPES: Final = (
    "AllergyIntolerance",
    "AuditEvent",
    "Condition",
    "Consent",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "Medication",
    "MedicationRequest",
    "Observation",
    "Patient",
    "Procedure",
    "ServiceRequest",
    "other",
)
PURPOSES: Final = ("TREAT", "ETREAT", "HPAYMT", "HOPERAT", "PUBHLTH", "HRESCH", "PATRQT")

_OF_ACTIONS: Final = {"C": "added", "U": "changed", "D": "deleted"}
_OF_KINDS: Final = {
    "message": "sent",
    "notification": "forwarded",
    "break-glass": "emergency",
    "trail": "used",
    "sign-in": "used",
}
_OF_INTERACTIONS: Final = {
    "break-glass-end": "emergency-ended",
    "break-glass-review": "emergency-reviewed",
    "notice": "emergency-told",
}
_REFUSED: Final = (401, 403)
_FIRST_FAILURE: Final = 400


@dataclass(frozen=True, slots=True)
class Access:
    """One line: when, who (a key of `WHO`, else a name), in which roles, what, of which types, why."""

    id: str
    at: datetime
    who: str
    name: str
    roles: tuple[str, ...]
    organization: str
    client: str
    deed: str
    types: tuple[str, ...]
    purpose: str
    outcome: str
    address: str
    patient: str
    target: str
    interaction: str


def access_of(found: Found, zone: ZoneInfo, names: Mapping[str, str], *, viewer: str = "") -> Access:
    """Return the words of a record; `names` are of Practitioners and Organizations by reference.

    `viewer` is the id of the Patient who reads it.
    """
    body = found.body
    said = body["who"]
    practitioner = f"Practitioner/{said.get('practitioner', '')}"
    organization = f"Organization/{said.get('organization', '')}"
    return Access(
        id=body["id"],
        at=found.recorded.astimezone(zone),
        who=_who(said, viewer),
        name=names.get(practitioner) or said.get("id", ""),
        roles=tuple(said.get("roles", ())),
        organization=names.get(organization, said.get("organization", "")),
        client=said.get("client", ""),
        deed=_deed(body),
        types=_types(body),
        purpose=said.get("purpose", ""),
        outcome=_outcome(body["status"]),
        address=body.get("from", ""),
        patient=next(iter(body.get("patients", ())), ""),
        target=body.get("on", ""),
        interaction=body["do"],
    )


def references_of(found: Found) -> list[str]:
    """Return the Practitioner and the Organization of a record, whose names people know."""
    said = found.body["who"]
    return [
        f"{kind}/{said[kind.lower()]}" for kind in ("Practitioner", "Organization") if said.get(kind.lower())
    ]


def _who(said: JsonObject, viewer: str) -> str:
    if viewer and said.get("patient") == viewer:
        return "self"
    return said["kind"] if said["kind"] in WHO else ""


def _deed(body: JsonObject) -> str:
    if body["do"] in _OF_INTERACTIONS:
        return _OF_INTERACTIONS[body["do"]]
    if body["kind"] in _OF_KINDS:
        return _OF_KINDS[body["kind"]]
    if body["do"].startswith("search"):
        return "searched"
    return _OF_ACTIONS.get(body["action"], "viewed")


def _types(body: JsonObject) -> tuple[str, ...]:
    target = str(body.get("on", "")).partition("/")[0]
    kinds = dict.fromkeys([*([target] if target else []), *(kind for kind, _ in seen_of(body))])
    return tuple(dict.fromkeys(kind if kind in TYPES else "other" for kind in kinds))


def _outcome(status: int) -> str:
    if status < _FIRST_FAILURE:
        return ""
    return "refused" if status in _REFUSED else "failed"
