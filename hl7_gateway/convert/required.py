"""The elements that a resource of each produced type cannot be without.

Minimum cardinalities of R4 (https://hl7.org/fhir/R4/resourcelist.html), a choice as its possible names;
held equal to the definitions of fhir.resources by a test. A resource that lacks one after all maps have run
is not sent.
"""

from typing import Final

from hie.core.fhir.json import JsonObject

REQUIRED: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "Account": (("status",),),
    "AllergyIntolerance": (("patient",),),
    "Basic": (("code",),),
    "CareTeam": (),
    "ChargeItem": (("status",), ("code",), ("subject",)),
    "Condition": (("subject",),),
    "Consent": (("status",), ("scope",), ("category",)),
    "Coverage": (("status",), ("beneficiary",), ("payor",)),
    "Device": (),
    "DeviceRequest": (("intent",), ("codeCodeableConcept", "codeReference"), ("subject",)),
    "DiagnosticReport": (("status",), ("code",)),
    "DocumentReference": (("status",), ("content",)),
    "Encounter": (("status",), ("class",)),
    "EpisodeOfCare": (("status",), ("patient",)),
    "Flag": (("status",), ("code",), ("subject",)),
    "Location": (),
    "MedicationRequest": (
        ("status",),
        ("intent",),
        ("medicationCodeableConcept", "medicationReference"),
        ("subject",),
    ),
    "NutritionOrder": (("status",), ("intent",), ("patient",), ("dateTime",)),
    "Observation": (("status",), ("code",)),
    "Organization": (),
    "Patient": (),
    "Practitioner": (),
    "PractitionerRole": (),
    "Procedure": (("status",), ("subject",)),
    "Provenance": (("target",), ("recorded",), ("agent",)),
    "RelatedPerson": (("patient",),),
    "ServiceRequest": (("status",), ("intent",), ("subject",)),
    "Specimen": (),
    "SupplyRequest": (("itemCodeableConcept", "itemReference"), ("quantity",)),
    "Task": (("status",), ("intent",)),
}


def missing(resource: JsonObject) -> str | None:
    """Return the name of a required element that `resource` lacks, None when it has them all."""
    for names in REQUIRED[resource["resourceType"]]:
        if names[0] not in resource and not any(name in resource for name in names):
            return names[0]
    return None
