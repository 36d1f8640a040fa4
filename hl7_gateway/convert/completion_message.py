"""The completions of what a message says about itself: its Provenance and the organization that sent it."""

from typing import Final

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.completion import named_completion
from hl7_gateway.convert.run import Instance, Run

_TYPES = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

_UNKNOWN: Final[JsonObject] = {
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    ]
}


@named_completion
def provenance(instance: Instance, run: Run) -> None:
    """Every other resource is a target, recorded at reception, by the organization that sent the message."""
    resource = instance.resource
    targets = {said["reference"]: said for other in run.instances if (said := other.reference)}
    if targets:
        resource["target"] = list(targets.values())
    resource["recorded"] = run.received.isoformat()
    author: JsonObject = {"type": {"coding": [{"system": _TYPES, "code": "author"}]}, "who": _UNKNOWN}
    for organization in run.named("organization"):
        author["who"] = organization.reference
    resource.setdefault("agent", []).insert(0, author)
    for software in run.named("software"):
        resource.setdefault("entity", []).append({"role": "source", "what": software.reference})


@named_completion
def organization_of_sender(instance: Instance, run: Run) -> None:
    """A message without MSH-4 comes from the facility that the gateway knows its sender by."""
    if "identifier" not in instance.resource:
        name = run.sender.facility or run.sender.application
        instance.resource["identifier"] = [{"system": run.sender.system("Organization"), "value": name}]
        instance.resource["name"] = name


@named_completion
def recorded(instance: Instance, run: Run) -> None:
    """A further Provenance of the same message was recorded with it."""
    instance.resource["recorded"] = run.received.isoformat()
