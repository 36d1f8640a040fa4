"""$reindex: makes the index of stored resources anew, after SearchParameters were stored or changed.

No standard defines it; other servers have it under this name. It is a job: the answer is 202 with
the URL of its status.
"""

from typing import Final

from fhir_server.bulk.reindex import KIND
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.jobs.kick_off import begin
from fhir_server.operations.operation import OWN, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.store.identity import type_number
from hie.core.errors import ParameterValueError
from hie.core.fhir.json import JsonObject, loads

# A SearchParameter on these is one on every type (https://hl7.org/fhir/R4/resourcelist.html).
_ABSTRACT: Final = frozenset({"Resource", "DomainResource"})

DEFINITION: Final = Definition(
    code="reindex",
    url=f"{OWN}reindex",
    levels=frozenset({"system", "type"}),
    types=(),
    affects_state=True,
    parameters=(
        Parameter("type", "in", 0, "*", "code", "Resource types to index again"),
        Parameter("url", "in", 0, "*", "uri", "SearchParameters whose types are indexed again"),
    ),
    documentation="Makes the search index of stored resources anew: of the types that are named, else of"
    " those whose new search parameters wait for it, else of all.",
)


def handle(call: Call) -> Reply:
    """Begin the job; raises RequestError for a type or a SearchParameter that is not known."""
    types: list[str] = list(call.inputs.all("type"))
    for name in types:
        type_number(name, expression=call.inputs.expression("type"))
    if call.resource_type is not None:
        types.append(call.resource_type)
    for url in call.inputs.all("url"):
        types += _bases(call, url)
    return begin(call, KIND, {"types": list(dict.fromkeys(types))})


def _bases(call: Call, url: str) -> list[str]:
    page = call.server.repository.search(call.transaction, "SearchParameter", [("url", url), ("_count", "1")])
    if not page.entries:
        raise ParameterValueError(
            f"There is no SearchParameter `{url}`", expression=call.inputs.expression("url")
        )
    resource: JsonObject = loads(page.entries[0].resource.body or b"{}")
    bases: list[str] = resource.get("base", [])
    return list(R4_RESOURCE_TYPES) if _ABSTRACT.intersection(bases) else bases


OPERATION: Final = Operation(DEFINITION, handle)
