"""The validator that the rest of the exchange sees: how deep it looks is a setting (`HIE_VALIDATION`).

`off` checks nothing, `structure` the JSON form in microseconds, `strict` has fhir.resources read
what has the right form. Implements `hie.core.ports.Validator`.
"""

from fhir_server.validation.strict import validate_strictly
from fhir_server.validation.structure import StructureValidator
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject
from hie.core.settings import ValidationLevel


class ResourceValidator:
    """Validates a resource at the level asked for."""

    def __init__(self, structure: StructureValidator) -> None:
        self._structure = structure

    def validate(self, resource: JsonObject, *, level: ValidationLevel) -> list[Issue]:
        """Return every finding; empty when `resource` is valid at `level`."""
        if level is ValidationLevel.OFF:
            return []
        issues = self._structure.validate(resource)
        if issues or level is ValidationLevel.STRUCTURE:
            return issues
        return validate_strictly(resource)
