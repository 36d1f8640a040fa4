"""Findings beyond what definitions say, of one type or of all, added to those of another validator.

A `hie.core.ports.Validator` around another: what the server itself needs of a SearchParameter or a
Subscription, for example. It finds nothing where the resource could not be read in the first place.
"""

from collections.abc import Callable, Iterable

from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject
from hie.core.ports import Validator
from hie.core.settings import ValidationLevel


class FurtherValidator:
    """Implements `hie.core.ports.Validator`."""

    def __init__(
        self, inner: Validator, resource_type: str | None, find: Callable[[JsonObject], list[Issue]]
    ) -> None:
        """Take the validator of all resources, and what finds more in those of a type, or in any if None."""
        self._inner = inner
        self._type = resource_type
        self._find = find

    def validate(self, resource: JsonObject, *, level: ValidationLevel) -> list[Issue]:
        """Return every finding, as `hie.core.ports.Validator.validate`."""
        return self._with_more(self._inner.validate(resource, level=level), resource)

    def examine(
        self,
        resource: JsonObject,
        *,
        profiles: Iterable[str] = (),
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[Issue]:
        """Return all that can be said, as `hie.core.ports.Validator.examine`."""
        return self._with_more(self._inner.examine(resource, profiles=profiles, resolve=resolve), resource)

    def _with_more(self, issues: list[Issue], resource: JsonObject) -> list[Issue]:
        if self._type is not None and resource.get("resourceType") != self._type:
            return issues
        if any(each.severity in ("error", "fatal") for each in issues):
            return issues
        return issues + self._find(resource)
