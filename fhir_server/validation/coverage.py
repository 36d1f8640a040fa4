"""Which definition each resource type is checked from, for the CapabilityStatement and the docs."""

from dataclasses import dataclass
from enum import StrEnum

from fhir.resources import R4B

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.validation import r4


class Source(StrEnum):
    """Where the definition of a type comes from."""

    FHIR_RESOURCES = f"fhir.resources R4B {R4B.__fhir_version__}"
    R4_DEFINITIONS = "FHIR R4 4.0.1 definitions"


@dataclass(frozen=True, slots=True)
class Coverage:
    """A resource type and the source of what it is checked against."""

    resource_type: str
    source: Source


def coverage() -> tuple[Coverage, ...]:
    """Return every resource type of R4 with its source, in alphabetical order."""
    own = frozenset(r4.names())
    return tuple(
        Coverage(name, Source.R4_DEFINITIONS if name in own else Source.FHIR_RESOURCES)
        for name in R4_RESOURCE_TYPES
    )
