"""What no search could go by: findings of SearchParameters that this server could never use.

https://hl7.org/fhir/R4/searchparameter.html. One that is retired, that has no expression, or that has a code
of R4's own is stored as it is: no search goes by it. Whether components of a composite are stored is not
looked at; `$reindex` names what it cannot use.
"""

from collections.abc import Callable

from fhir_server.index.indexer import Indexer
from fhir_server.search.stored_parameters import parameters_of
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject


def findings_of_definitions(indexer: Indexer) -> Callable[[JsonObject], list[Issue]]:
    """Return what says why a stored SearchParameter could not be used; `indexer` would index by it."""

    def find(resource: JsonObject) -> list[Issue]:
        reason = ""
        for parameter in parameters_of(resource):
            if not parameter.expression or parameter.type == "composite":
                return []
            reason = indexer.refusal_of_definition(parameter) or ""
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

    return find
