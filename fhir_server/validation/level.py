"""The validator that the rest of the exchange sees: how deep it looks is a setting (`HIE_VALIDATION`).

`off` checks nothing, `structure` the JSON form and required bindings in microseconds, `strict` has
fhir.resources read what has the right form, `profile` also evaluates R4's invariants and the profiles
that the resource claims. Implements `hie.core.ports.Validator`.
"""

from collections.abc import Callable, Iterable

from fhir_server.validation.conformance import LoadedResources
from fhir_server.validation.profile.validator import ProfileValidator
from fhir_server.validation.strict import validate_strictly
from fhir_server.validation.structure import StructureValidator
from hie.core.clock import Clock, SystemClock
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject
from hie.core.settings import ValidationLevel


class ResourceValidator:
    """Validates a resource at the level asked for."""

    def __init__(
        self,
        structure: StructureValidator,
        profiles: ProfileValidator | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Take the parts; without `profiles` no profile is known, and only R4 itself is checked."""
        self._structure = structure
        self._profiles = profiles or ProfileValidator(LoadedResources())
        self._clock = clock or SystemClock()

    def validate(self, resource: JsonObject, *, level: ValidationLevel) -> list[Issue]:
        """Return every finding; empty when `resource` is valid at `level`.

        Warnings come only beside errors. References are not followed out of the resource: what they
        name may be written by the same transaction.
        """
        if level is ValidationLevel.OFF:
            return []
        issues = self._structure.validate(resource)
        if issues or level is ValidationLevel.STRUCTURE:
            return issues
        issues = validate_strictly(resource)
        if issues or level is ValidationLevel.STRICT:
            return issues
        issues = self._profiles.validate(resource, now=self._clock.now())
        return issues if any(issue.severity == "error" for issue in issues) else []

    def examine(
        self,
        resource: JsonObject,
        *,
        profiles: Iterable[str] = (),
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[Issue]:
        """Return all that can be said of `resource` at every level, warnings and information too.

        `profiles` are canonicals to check beside those that it claims; `resolve` finds the resource of a
        literal reference.
        """
        issues = self._structure.validate(resource)
        if issues:  # what has no form has no profile
            return issues
        return [
            *validate_strictly(resource),
            *self._profiles.validate(resource, now=self._clock.now(), profiles=profiles, resolve=resolve),
        ]
