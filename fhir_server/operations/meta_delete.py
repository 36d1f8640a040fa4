"""$meta-delete: https://hl7.org/fhir/R4/resource-operation-meta-delete.html."""

from typing import Final

from fhir_server.operations.labels import removed
from fhir_server.operations.meta_change import changing, definition
from fhir_server.operations.operation import HL7, Operation

OPERATION: Final = Operation(
    definition(
        "meta-delete",
        f"{HL7}Resource-meta-delete",
        "Takes profiles, tags and security labels from a resource; makes a version.",
    ),
    changing(removed, "$meta-delete"),
)
