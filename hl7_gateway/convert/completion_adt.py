"""The completions of what patient-administration messages tell of.

https://build.fhir.org/ig/HL7/v2-to-fhir/ (code maps Event[EncounterStatus], PatientClass[EncounterStatus];
PV1[Encounter])
"""

from typing import Final

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.completion import named_completion
from hl7_gateway.convert.conditions_adt import is_self, names_a_subscriber
from hl7_gateway.convert.run import Instance, Run

_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"

# Beyond the guide's table Event[EncounterStatus], from the meaning of the events in HL7 v2.8 chapter 3: a
# transfer or a change of class happens within a stay, a cancelled transfer leaves the patient in it, a swap
# to inpatient likewise.
_BEYOND: Final = {"A06": "in-progress", "A07": "in-progress", "A12": "in-progress"}
# Events that say what has become of the visit; a stored status outlives that of the others.
_ASSERTING: Final = frozenset({"A01", "A03", "A04", "A05", "A11", "A13"})
# What a discharge had said, which its cancellation takes back (HL7 v2.8 section 3.3.13).
_OF_DISCHARGE: Final = (
    "period.end",
    "hospitalization.dischargeDisposition",
    "hospitalization.destination",
    "length",
)
# What a transfer had said of where the patient was before it: its cancellation takes them back there.
_OF_TRANSFER: Final = "location|completed|"
_CANCELLATIONS: Final = frozenset({"A11", "A12", "A13"})

ABSENT: Final[JsonObject] = {
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    ]
}


@named_completion
def encounter_status(instance: Instance, run: Run) -> None:
    """A discharge time (PV1-45) finishes the visit, unless the event cancels; else the event decides.

    Where the event says nothing of the status (A08, results, orders), PV1-2 does.
    """
    resource = instance.resource
    segment = instance.segment
    event = run.message.event if run.message.code == "ADT" else ""
    translate = run.context.translator.translate
    if segment.first(45) and event not in _CANCELLATIONS:
        status = "finished"
    else:
        target = translate("Event[EncounterStatus]", event)
        status = target.code if target is not None else _BEYOND.get(event, "unknown")
        if status == "unknown":
            target = translate("PatientClass[EncounterStatus]", segment.first(2))
            status = target.code if target is not None else "unknown"
    resource["status"] = status
    if event not in _ASSERTING and status != "finished":
        instance.weak = (*instance.weak, "status")
    if event == "A13":
        instance.cleared = (*instance.cleared, *_OF_DISCHARGE)
    if event == "A12":
        instance.cleared = (*instance.cleared, _OF_TRANSFER)
    if "class" not in resource:
        # Encounter.class is required; its binding (v3 ActEncounterCode) is extensible, so a null flavor
        # says it best.
        resource["class"] = {"system": _NULL_FLAVOR, "code": "UNK", "display": "unknown"}
        instance.weak = (*instance.weak, "class")


@named_completion
def coverage(instance: Instance, run: Run) -> None:
    """The insured is the patient or the subscriber; R4 requires a payor, so the absence of one is said."""
    resource, segment = instance.resource, instance.segment
    if is_self(segment, run):
        resource["subscriber"] = resource["beneficiary"]
    elif names_a_subscriber(segment, run):
        for subscriber in run.named("subscriber"):
            if subscriber.segment is segment:
                resource["subscriber"] = subscriber.reference
    resource.setdefault("payor", [ABSENT])
