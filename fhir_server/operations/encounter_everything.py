"""$everything of Encounter: https://hl7.org/fhir/R4/encounter-operation-everything.html."""

from typing import Final

from fhir_server.operations.everything import COUNT, CURSOR, RETURN, SINCE, TYPES, everything
from fhir_server.operations.operation import HL7, Definition, Operation

DEFINITION: Final = Definition(
    code="everything",
    url=f"{HL7}Encounter-everything",
    levels=frozenset({"instance"}),
    types=("Encounter",),
    affects_state=False,
    parameters=(SINCE, TYPES, COUNT, CURSOR, RETURN),
    documentation="The encounter's compartment and what its resources refer to, the patient among them.",
)
OPERATION: Final = Operation(DEFINITION, everything)
