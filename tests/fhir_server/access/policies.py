"""Policies of another kind than the permissive one, to see whether anything bypasses them."""

from dataclasses import dataclass

from hie.core.access import EVERYTHING, NOTHING, Attempt, Readable, Requester
from hie.core.errors import ForbiddenError
from hie.core.fhir.json import JsonObject

# A part of the patient compartment (https://hl7.org/fhir/R4/compartmentdefinition-patient.html).
OF_PATIENT = {
    "Observation": "patient",
    "Condition": "patient",
    "Encounter": "patient",
    "List": "patient",
    "Group": "member",
    "Provenance": "patient",
    "Composition": "patient",
    "DocumentReference": "patient",
}
OPEN = frozenset({"Organization", "ValueSet", "CodeSystem", "StructureDefinition", "SearchParameter"})
READING = frozenset({"read", "history"})


@dataclass(frozen=True)
class DenyEverything:
    """Nobody reads or does anything."""

    def readable(self, requester: Requester, resource_type: str) -> Readable:  # noqa: ARG002 - the port's words
        """Return what may be read."""
        return NOTHING

    def decide(self, requester: Requester, attempt: Attempt) -> None:  # noqa: ARG002 - the port's words
        """Raise ForbiddenError unless permitted."""
        raise ForbiddenError


@dataclass(frozen=True)
class OnePatient:
    """Nobody but the system reads or changes another patient's record; organisations are open to read."""

    patient: str

    def readable(self, requester: Requester, resource_type: str) -> Readable:
        """Return what may be read."""
        if requester.kind == "system" or resource_type in OPEN:
            return EVERYTHING
        if resource_type == "Patient":
            return Readable(((("_id", self.patient),),))
        parameter = OF_PATIENT.get(resource_type)
        return NOTHING if parameter is None else Readable((((parameter, f"Patient/{self.patient}"),),))

    def decide(self, requester: Requester, attempt: Attempt) -> None:
        """Raise ForbiddenError unless permitted."""
        if requester.kind == "system":
            return
        if attempt.interaction.startswith("$") and attempt.resource_type is None:
            raise ForbiddenError
        contents = [each for each in (attempt.resource, attempt.stored) if each is not None]
        if not all(self._is_mine(each) for each in contents) or (
            attempt.interaction in READING and not contents
        ):
            raise ForbiddenError

    def _is_mine(self, resource: JsonObject) -> bool:
        if resource["resourceType"] == "Patient":
            return bool(resource["id"] == self.patient)
        subject = resource.get("subject", {})
        return bool(subject.get("reference") == f"Patient/{self.patient}")


@dataclass(frozen=True)
class WriteAnything(OnePatient):
    """Everybody writes, as a hospital's feed does, but sees one patient only."""

    def decide(self, requester: Requester, attempt: Attempt) -> None:
        """Permit it."""


@dataclass(frozen=True)
class ReadOnly:
    """Everybody reads everything and changes nothing."""

    def readable(self, requester: Requester, resource_type: str) -> Readable:  # noqa: ARG002 - the port's words
        """Return what may be read."""
        return EVERYTHING

    def decide(self, requester: Requester, attempt: Attempt) -> None:  # noqa: ARG002 - the port's words
        """Raise ForbiddenError unless permitted."""
        raise ForbiddenError
