"""Refuses at write the SearchParameters by which this server could never find anything.

A `hie.core.ports.Validator` around another: https://hl7.org/fhir/R4/searchparameter.html. One that is
retired, that has no expression, or that has a code of R4's own is stored as it is: no search goes by
it. Whether components of a composite are stored is not looked at; `$reindex` names what it cannot use.
"""

from collections.abc import Callable, Iterable

from fhir_server.index.indexer import Indexer
from fhir_server.search.stored_parameters import parameters_of
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject
from hie.core.ports import Validator
from hie.core.settings import ValidationLevel


class SearchParameterValidator:
    """Implements `hie.core.ports.Validator`."""

    def __init__(self, inner: Validator, indexer: Indexer) -> None:
        """Take the validator of all resources, and what indexes by stored parameters."""
        self._inner = inner
        self._indexer = indexer

    def validate(self, resource: JsonObject, *, level: ValidationLevel) -> list[Issue]:
        """Return every finding, as `hie.core.ports.Validator.validate`."""
        return self._with_own(self._inner.validate(resource, level=level), resource)

    def examine(
        self,
        resource: JsonObject,
        *,
        profiles: Iterable[str] = (),
        resolve: Callable[[str], JsonObject | None] | None = None,
    ) -> list[Issue]:
        """Return all that can be said, as `hie.core.ports.Validator.examine`."""
        return self._with_own(self._inner.examine(resource, profiles=profiles, resolve=resolve), resource)

    def _with_own(self, issues: list[Issue], resource: JsonObject) -> list[Issue]:
        if resource.get("resourceType") != "SearchParameter":
            return issues
        if any(each.severity in ("error", "fatal") for each in issues):
            return issues  # it is no SearchParameter that could be read
        return issues + self._findings(resource)

    def _findings(self, resource: JsonObject) -> list[Issue]:
        reason = ""
        for parameter in parameters_of(resource):
            if not parameter.expression or parameter.type == "composite":
                return []
            reason = self._indexer.refusal_of_definition(parameter) or ""
            if not reason:
                return []
        if not reason:
            return []
        return [
            Issue(
                "error",
                "not-supported",
                f"No search can go by `{resource['code']}`: {reason}",
                "SearchParameter.expression",
            )
        ]
