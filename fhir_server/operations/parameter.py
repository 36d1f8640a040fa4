"""One parameter of an operation, as OperationDefinition.parameter describes it.

https://hl7.org/fhir/R4/operationdefinition-definitions.html#OperationDefinition.parameter
"""

from dataclasses import dataclass
from typing import Literal

from fhir_server.store.identity import TYPE_NUMBER
from fhir_server.validation.primitives import RULES

# The abstract types of resources (https://hl7.org/fhir/R4/resource.html, https://hl7.org/fhir/R4/domainresource.html).
_ANY_RESOURCE = frozenset({"Resource", "DomainResource"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `max` is "1", another number, or "*".

    `type` names a data type ("Element" for any), a resource type, "Resource" for any resource, or is
    empty where the parameter consists of `parts`.
    """

    name: str
    use: Literal["in", "out"]
    min: int
    max: str
    type: str
    documentation: str
    parts: tuple["Parameter", ...] = ()

    @property
    def is_primitive(self) -> bool:
        """Say whether a query string can carry it."""
        return self.type in RULES

    @property
    def is_resource(self) -> bool:
        """Say whether it is given as `resource`."""
        return self.type in _ANY_RESOURCE or self.type in TYPE_NUMBER

    def takes_resource(self, resource_type: object) -> bool:
        """Say whether a resource of `resource_type` may be its value."""
        return self.type in _ANY_RESOURCE or resource_type == self.type
