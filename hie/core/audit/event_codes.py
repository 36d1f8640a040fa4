"""Which codes an AuditEvent has for which interaction.

Events of REST by IHE BALP (https://profiles.ihe.net/ITI/BALP/), others by the events of DICOM PS3.15 A.5
(https://hl7.org/fhir/R4/valueset-audit-event-type.html, valueset-audit-event-sub-type.html).
"""

from dataclasses import dataclass
from typing import Final

from hie.core.fhir.json import JsonObject

EVENT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
TRIGGER: Final = "http://terminology.hl7.org/CodeSystem/v2-0003"
_PROFILE: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."

# Codes of the value set of interactions; everything else that came over REST is an operation.
_RESTFUL: Final = frozenset(
    {
        "read",
        "vread",
        "update",
        "patch",
        "delete",
        "create",
        "search-type",
        "search-system",
        "history-instance",
        "history-type",
        "history-system",
        "transaction",
        "batch",
        "capabilities",
    }
)
_OTHER_NAMES: Final = {"history": "history-instance", "transaction or batch": "transaction"}
_PROFILES: Final = {
    "read": "Read",
    "vread": "Read",
    "create": "Create",
    "update": "Update",
    "patch": "Update",
    "delete": "Delete",
    "search-type": "Query",
    "search-system": "Query",
}

_REST: Final = (EVENT_TYPE, "rest", "RESTful Operation")
_DICOM: Final = {
    "page": ("110110", "Patient Record"),
    "message": ("110107", "Import"),
    "notification": ("110106", "Export"),
    "sign-in": ("110114", "User Authentication"),
    "break-glass": ("110113", "Security Alert"),
    "trail": ("110101", "Audit Log Used"),
}
_JOBS: Final = {"job-export": ("110106", "Export"), "job-import": ("110107", "Import")}
_SUBTYPES: Final = {
    "sign-in": ("110122", "Login"),
    "sign-out": ("110123", "Logout"),
    "break-glass": ("110127", "Emergency Override Started"),
    "break-glass-end": ("110138", "Emergency Override Stopped"),
}


@dataclass(frozen=True, slots=True)
class Codes:
    """`interaction` is the code of the RESTful interaction, "" for what is none of REST."""

    type: JsonObject
    subtype: JsonObject | None
    interaction: str

    @property
    def is_query(self) -> bool:
        """Whether the event is that of a search."""
        return self.interaction.startswith("search-")

    def profile(self, *, has_patient: bool) -> str | None:
        """Return the canonical of the profile of BALP that a successful event has."""
        name = _PROFILES.get(self.interaction)
        return None if name is None else f"{_PROFILE}{'Patient' if has_patient else ''}{name}"


def codes_of(kind: str, interaction: str) -> Codes:
    """Return the codes of a record's kind and interaction."""
    if kind == "rest" or (kind == "job" and interaction not in _JOBS):
        code = _OTHER_NAMES.get(interaction, interaction)
        code = code if code in _RESTFUL else "operation"
        return Codes(coding(*_REST), coding(INTERACTION, code), code)
    dicom = _JOBS.get(interaction) or _DICOM.get(kind, _DICOM["page"])
    return Codes(coding(DCM, *dicom), _subtype(kind, interaction), "")


def _subtype(kind: str, interaction: str) -> JsonObject | None:
    if kind == "message":
        trigger = interaction.partition("^")[2].partition("^")[0]
        return coding(TRIGGER, trigger) if trigger else None
    found = _SUBTYPES.get(interaction)
    return None if found is None else coding(DCM, *found)


def operation_name(interaction: str) -> str:
    """Return the name of the operation that a record is about, "" where it is none."""
    return interaction if interaction.startswith("$") else ""


def coding(system: str, code: str, display: str = "") -> JsonObject:
    """Return a Coding."""
    made: JsonObject = {"system": system, "code": code}
    if display:
        made["display"] = display
    return made
