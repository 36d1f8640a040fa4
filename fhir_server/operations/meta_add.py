"""$meta-add: https://hl7.org/fhir/R4/resource-operation-meta-add.html."""

from typing import Final

from fhir_server.operations.labels import added
from fhir_server.operations.meta_change import changing, definition
from fhir_server.operations.operation import HL7, Operation

OPERATION: Final = Operation(
    definition(
        "meta-add",
        f"{HL7}Resource-meta-add",
        "Adds profiles, tags and security labels to a resource, each once; makes a version.",
    ),
    changing(added, "$meta-add"),
)
