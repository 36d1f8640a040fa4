"""The segment functions of specimens: containers.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-spm-to-specimen.html
"""

from typing import Final

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.roles import converted
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.registry import find
from hl7_gateway.er7.message import Segment

_CONCEPT: Final = find("CWE_CodeableConcept")
_ADDITIVE: Final = _CONCEPT.bind(concept_map="AdditivePreservative")
_CONTAINER_TYPE: Final = _CONCEPT.bind(concept_map="ContainerType")


@named_function
def specimen_container(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """SPM-27 is the type and SPM-6 the additives of containers; R4 has one additive in each."""
    containers: list[JsonObject] = []
    for number in range(len(segment.repetitions(6))):
        additive = converted(segment, 6, number, _CONCEPT, run, account, _ADDITIVE)
        if additive is not None:
            containers.append({"additiveCodeableConcept": additive})
    kind = converted(segment, 27, 0, _CONCEPT, run, account, _CONTAINER_TYPE) if segment.raw(27) else None
    if kind is not None:
        if not containers:
            containers.append({})
        for container in containers:
            container["type"] = kind
    if containers:
        resource.setdefault("container", []).extend(containers)
