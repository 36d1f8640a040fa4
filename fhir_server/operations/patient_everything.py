"""$everything of Patient: https://hl7.org/fhir/R4/patient-operation-everything.html.

At type level the records of all patients that the requester may read, patient by patient, in pages.
"""

from typing import Final

from fhir_server.operations.everything import COUNT, CURSOR, END, RETURN, SINCE, START, TYPES, everything
from fhir_server.operations.operation import HL7, Definition, Operation

DEFINITION: Final = Definition(
    code="everything",
    url=f"{HL7}Patient-everything",
    levels=frozenset({"type", "instance"}),
    types=("Patient",),
    affects_state=False,
    parameters=(START, END, SINCE, TYPES, COUNT, CURSOR, RETURN),
    documentation="The patient's compartment and what its resources refer to: whole without `_count`, else in"
    " pages that stay stable while resources change. At type level that of every patient, in pages.",
)
OPERATION: Final = Operation(DEFINITION, everything)
