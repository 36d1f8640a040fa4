"""What a client sends to $graphql, in any of its forms.

https://graphql.org/learn/serving-over-http/, and Parameters, since $graphql is an operation of FHIR.
"""

from collections.abc import Mapping
from typing import Final

from fhir_server.graphql.service import Request
from fhir_server.interactions.negotiation import read_parameters
from fhir_server.interactions.server import Server
from hie.core.errors import MissingParameterError, RequestError, UnsupportedMediaTypeError
from hie.core.fhir.json import Json
from hie.core.web.media_types import check_charset, split

_DOCUMENT: Final = "application/graphql"
_JSON: Final = frozenset({"application/json", "application/fhir+json", "application/graphql+json"})
_FIRST: Final = 80


def read_query(query: str, server: Server) -> Request:
    """Return the request in the query of a URL; raises MissingParameterError, RequestError."""
    given = dict(read_parameters(query))
    text = given.get("variables")
    return _request(
        {
            "query": given.get("query"),
            "operationName": given.get("operationName"),
            "variables": server.read_json(text.encode()) if text else None,
        }
    )


def read_request(query: str, content_type: str, body: bytes, server: Server) -> Request:
    """Return the request in the body of a POST; what stands in the URL fills in what the body does not say.

    Raises UnsupportedMediaTypeError, MalformedJSONError, MissingParameterError, RequestError.
    """
    media_type, parameters = split(content_type)
    if not body:
        return read_query(query, server)
    check_charset(parameters)
    if media_type == _DOCUMENT:
        beside = dict(read_parameters(query))
        text = beside.get("variables")
        return _request(
            {
                "query": _decoded(body),
                "operationName": beside.get("operationName"),
                "variables": server.read_json(text.encode()) if text else None,
            }
        )
    if media_type not in _JSON:
        raise UnsupportedMediaTypeError(
            f"The content type `{content_type[:_FIRST]}` is not supported by $graphql; {_DOCUMENT} and"
            " application/json are"
        )
    given = server.read_json(body)
    if not isinstance(given, dict):
        raise RequestError("The body is not an object with `query`")
    if given.get("resourceType") == "Parameters":
        return _request(_parameters(given.get("parameter")))
    return _request(given)


def _parameters(given: Json) -> Mapping[str, Json]:
    parts = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return {str(each.get("name")): each.get("valueString") for each in parts}


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RequestError("The document is not UTF-8") from error


def _request(given: Mapping[str, Json]) -> Request:
    query, operation, variables = (given.get(name) for name in ("query", "operationName", "variables"))
    if not isinstance(query, str) or not query.strip():
        raise MissingParameterError("There is no `query`", expression="query")
    if operation is not None and not isinstance(operation, str):
        raise RequestError("`operationName` is not a string", expression="operationName")
    if variables is not None and not isinstance(variables, dict):
        raise RequestError("`variables` is not a JSON object", expression="variables")
    return Request(query, operation or None, variables or {})
