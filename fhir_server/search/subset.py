"""Parts of a resource: `_summary` and `_elements`.

https://hl7.org/fhir/R4/search.html#summary. What is left out is marked by the
tag SUBSETTED, so that nobody takes the part for the whole.
"""

from collections.abc import Collection
from typing import Final

from fhir_server.definitions.elements import required_of, summary_of
from fhir_server.search.query import Query
from hie.core.fhir.json import JsonObject, dumps, loads

_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})
# https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}


def is_whole(query: Query) -> bool:
    """Return whether the search gives out resources as they are stored."""
    return query.summary in {"false", "count"} and not query.elements


def subset(body: bytes, resource_type: str, query: Query) -> bytes:
    """Return the part of the resource `body` that `query` asks for, tagged SUBSETTED."""
    required = required_of(resource_type)
    resource: JsonObject = loads(body)
    if query.elements:
        return _tagged(_only(resource, required | frozenset(query.elements)))
    match query.summary:
        case "true":
            return _tagged(_only(resource, summary_of(resource_type) | required))
        case "text":
            return _tagged(_only(resource, required | {"text"}))
        case _:
            return _tagged({name: value for name, value in resource.items() if name != "text"})


def _only(resource: JsonObject, names: Collection[str]) -> JsonObject:
    """Keep `names`, with what primitive elements carry beside their value (`_birthDate`)."""
    return {
        name: value for name, value in resource.items() if name in _ALWAYS or name.removeprefix("_") in names
    }


def _tagged(resource: JsonObject) -> bytes:
    meta = dict(resource.get("meta", {}))
    meta["tag"] = [*meta.get("tag", []), _SUBSETTED]
    return dumps({**resource, "meta": meta})
