"""Introspection: the types, fields and queries that this server has, as GraphQL clients ask for them.

https://spec.graphql.org/October2021/#sec-Introspection; "SHALL provide introspection services that correctly
describe the services they offer" (https://hl7.org/fhir/R4/graphql.html#conformance).
"""

from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import Final

import orjson
from graphql import graphql_sync

from fhir_server.graphql.document import Document, fields_of
from fhir_server.graphql.schema import schema
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.language_errors import GraphQLError

_META: Final = frozenset({"__schema", "__type"})
# The whole schema is 17 MB of JSON and 5 s of work: one at a time, and kept, for clients ask the same.
_WORKING: Final = Lock()


def is_introspection(document: Document) -> bool:
    """Say whether `document` asks for the schema; raises GraphQLError if for resources too."""
    names = {each.name for each in fields_of(document.selections)}
    if not names & _META:
        return False
    if names - _META - {"__typename"}:
        raise GraphQLError("`__schema` and `__type` are asked for in a request of their own")
    return True


def introspected(text: str, operation: str | None, variables: Mapping[str, Json]) -> JsonObject:
    """Return the answer to a document that asks for the schema only; raises GraphQLError."""
    with _WORKING:
        return {"data": orjson.Fragment(_data(text, operation, dumps(dict(variables))))}


@lru_cache(maxsize=2)
def _data(text: str, operation: str | None, variables: bytes) -> bytes:
    result = graphql_sync(schema(), text, variable_values=loads(variables), operation_name=operation)
    if result.errors:
        first = result.errors[0]
        at = first.locations[0] if first.locations else None
        raise GraphQLError(first.message, place=(at.line, at.column) if at else None)
    return dumps(result.data)
