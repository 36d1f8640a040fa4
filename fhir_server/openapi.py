"""The OpenAPI document of the FHIR routes: what each takes, what it answers, and in which media types.

https://spec.openapis.org/oas/v3.1.0; the interactions are those of https://hl7.org/fhir/R4/http.html. Made of
the router's own routes, so that none is missing; what FHIR itself says of resources (CapabilityStatement,
StructureDefinition) is not said again here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.routing import Route

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.operations.registry import load_operations
from hie.core.fhir.json import JsonObject

_JSON: Final = "application/fhir+json"
_XML: Final = "application/fhir+xml"
_FORM: Final = "application/x-www-form-urlencoded"
_NDJSON: Final = "application/fhir+ndjson"
_PLAIN_JSON: Final = "application/json"
_NO_BODY: Final = frozenset({"HEAD"})

# https://hl7.org/fhir/R4/valueset-issue-severity.html, https://hl7.org/fhir/R4/valueset-issue-type.html
_SEVERITIES: Final = ("fatal", "error", "warning", "information")
_ISSUE_TYPES: Final = (
    *("invalid", "structure", "required", "value", "invariant"),
    *("security", "login", "unknown", "expired", "forbidden", "suppressed"),
    *("processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long"),
    *("code-invalid", "extension", "too-costly", "business-rule", "conflict"),
    *("transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"),
    "informational",
)
_SCHEMAS: Final[JsonObject] = {
    "Resource": {
        "type": "object",
        "required": ["resourceType"],
        "properties": {
            "resourceType": {"type": "string"},
            "id": {"type": "string"},
            "meta": {"type": "object"},
        },
    },
    "Bundle": {
        "type": "object",
        "required": ["resourceType", "type"],
        "properties": {
            "resourceType": {"const": "Bundle"},
            "type": {"type": "string"},
            "total": {"type": "integer", "minimum": 0},
            "link": {"type": "array", "items": {"type": "object", "required": ["relation", "url"]}},
            "entry": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        },
    },
    "OperationOutcome": {
        "type": "object",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["severity", "code"],
                    "properties": {
                        "severity": {"enum": list(_SEVERITIES)},
                        "code": {"enum": list(_ISSUE_TYPES)},
                        "diagnostics": {"type": "string", "minLength": 1},
                        "expression": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                    },
                },
            },
        },
    },
    "JsonPatch": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["op", "path"],
            "properties": {
                "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
                "path": {"type": "string"},
                "from": {"type": "string"},
                "value": {},
            },
        },
    },
    "GraphQLRequest": {
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": {"type": "string"},
            "operationName": {"type": ["string", "null"]},
            "variables": {"type": ["object", "null"]},
        },
    },
    "GraphQLErrors": {
        "type": "object",
        "required": ["data", "errors"],
        "properties": {
            "data": {"type": "null"},
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["message", "extensions"],
                    "properties": {
                        "message": {"type": "string"},
                        "extensions": {
                            "type": "object",
                            "required": ["resource"],
                            "properties": {"resource": {"$ref": "#/components/schemas/OperationOutcome"}},
                        },
                    },
                },
            },
        },
    },
}
_ID: Final = "^[A-Za-z0-9\\-.]{1,64}$"
_PATH: Final[Mapping[str, JsonObject]] = {
    "resource_type": {"type": "string", "enum": list(R4_RESOURCE_TYPES)},
    "resource_id": {"type": "string", "pattern": _ID},
    "version": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
    # https://hl7.org/fhir/R4/compartmentdefinition.html
    "compartment": {"enum": ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"]},
    "identity": {"type": "string", "format": "uuid"},
}
_QUERY: Final[Mapping[str, JsonObject]] = {
    "_format": {"type": "string", "enum": ["json", "xml"]},
    "_pretty": {"type": "string", "enum": ["true", "false"]},
    "_summary": {"type": "string", "enum": ["true", "text", "data", "count", "false"]},
    "_elements": {"type": "string"},
    "_count": {"type": "string", "pattern": "^[0-9]{1,6}$"},
    "_sort": {"type": "string"},
    "_total": {"type": "string", "enum": ["none", "estimate", "accurate"]},
    "mode": {"type": "string", "enum": ["full", "normative", "terminology"]},
    "_since": {"type": "string"},
    "_at": {"type": "string"},
    "_id": {"type": "string"},
    "_lastUpdated": {"type": "string"},
    "_filter": {"type": "string"},
    "_type": {"type": "string"},
    "_include": {"type": "string"},
    "_revinclude": {"type": "string"},
    "_cursor": {"type": "string"},
    "query": {"type": "string"},
    "operationName": {"type": "string"},
    "variables": {"type": "string"},
}
_HEADERS: Final[Mapping[str, JsonObject]] = {
    "Prefer": {"type": "string"},
    "If-Match": {"type": "string"},
    "If-None-Match": {"type": "string"},
    "If-Modified-Since": {"type": "string"},
    "If-None-Exist": {"type": "string"},
}
_FORMAT: Final = ("_format", "_pretty")
_PART: Final = (*_FORMAT, "_summary", "_elements")
_SEARCH: Final = (
    *_PART,
    *("_count", "_sort", "_total", "_id", "_lastUpdated", "_filter", "_include", "_revinclude", "_cursor"),
)
_HISTORY: Final = (*_FORMAT, "_count", "_since", "_at")


@dataclass(frozen=True, slots=True)
class _Route:
    """What is said of routes of one name: `body` and `answer` are keys of `_CONTENTS`."""

    summary: str
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    body: str | None = None
    answer: str | None = "resource"
    statuses: tuple[int, ...] = (200,)
    errors: str = "outcome"


_WRITE: Final = ("Prefer", "If-Match")
_ROUTES: Final[Mapping[str, _Route]] = {
    "read": _Route("read", _PART, ("If-None-Match", "If-Modified-Since"), answer="content"),
    "vread": _Route("vread", _PART, answer="content"),
    "create": _Route("create", _FORMAT, ("Prefer", "If-None-Exist"), "content", statuses=(200, 201, 202)),
    "update": _Route("update", _FORMAT, _WRITE, "content", statuses=(200, 201, 202)),
    "conditional update": _Route("conditional update", _FORMAT, _WRITE, "resource", statuses=(200, 201, 202)),
    "patch": _Route("patch", _FORMAT, _WRITE, "patch", statuses=(200, 202)),
    "conditional patch": _Route("conditional patch", _FORMAT, _WRITE, "patch", statuses=(200, 202)),
    "delete": _Route("delete", _FORMAT, _WRITE, statuses=(200, 202, 204)),
    "conditional delete": _Route("conditional delete", _FORMAT, _WRITE, statuses=(200, 202, 204)),
    "history": _Route("history-instance", _HISTORY, answer="bundle"),
    "history-type": _Route("history-type", _HISTORY, answer="bundle"),
    "history-system": _Route("history-system", _HISTORY, answer="bundle"),
    "search-type": _Route("search-type", _SEARCH, ("Prefer",), answer="bundle", statuses=(200, 202)),
    "search-type by POST": _Route(
        "search-type by POST", _SEARCH, ("Prefer",), "form", "bundle", statuses=(200, 202)
    ),
    "search-system": _Route(
        "search-system", (*_SEARCH, "_type"), ("Prefer",), answer="bundle", statuses=(200, 202)
    ),
    "search-system by POST": _Route(
        "search-system by POST", (*_SEARCH, "_type"), ("Prefer",), "form", "bundle", statuses=(200, 202)
    ),
    "compartment search": _Route(
        "search in a compartment", _SEARCH, ("Prefer",), answer="bundle", statuses=(200, 202)
    ),
    "compartment search by POST": _Route(
        "search in a compartment by POST", _SEARCH, ("Prefer",), "form", "bundle", statuses=(200, 202)
    ),
    "transaction or batch": _Route(
        "transaction or batch", _FORMAT, ("Prefer",), "bundle", "bundle", statuses=(200, 202)
    ),
    "capabilities": _Route("capabilities", (*_PART, "mode"), ("If-None-Match",)),
    "operation": _Route("an operation", _FORMAT, ("Prefer",), "resource", statuses=(200, 202)),
    "graphql": _Route(
        "$graphql", ("query", "operationName", "variables"), (), "graphql", "data", errors="errors"
    ),
    "import": _Route("$import of NDJSON", _FORMAT, ("Prefer",), "ndjson", statuses=(202,)),
    "job status": _Route("the state of a job", answer="anything", statuses=(200, 202, 303)),
    "job cancellation": _Route("cancel a job", answer=None, statuses=(202,)),
    "job file": _Route("a file that a job made", answer="anything"),
}
# The names of the routes that are described; another is in the document by its path alone.
DESCRIBED: Final = frozenset(_ROUTES)
_UNKNOWN: Final = _Route("", answer="anything", body="anything")


def document(title: str, version: str, router: APIRouter) -> JsonObject:
    """Return the OpenAPI document of the routes of `router` that are in its schema."""
    paths: dict[str, JsonObject] = {}
    for route in router.routes:
        if isinstance(route, Route) and route.include_in_schema:
            entry = paths.setdefault(route.path_format, {})
            for method in sorted(route.methods or ()):
                # The route that is mounted first is the one that answers.
                entry.setdefault(method.lower(), _operation(route, method))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": "A FHIR R4 repository; `GET /fhir/metadata` says what it can do in FHIR's terms.",
        },
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }


def _operation(route: Route, method: str) -> JsonObject:
    described = _ROUTES.get(route.name, _UNKNOWN)
    is_bodiless = method in ("GET", "HEAD", "DELETE")
    parameters = [
        *(
            {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
            for name in _names(route)
        ),
        *({"name": name, "in": "query", "schema": _QUERY[name]} for name in described.query),
        *({"name": name, "in": "header", "schema": _HEADERS[name]} for name in described.headers),
    ]
    operation: JsonObject = {
        "summary": described.summary or route.name,
        "operationId": f"{method.lower()} {route.path_format.removeprefix('/fhir')} {route.name}",
        "tags": ["FHIR"],
        "parameters": parameters,
        "responses": _responses(described, method),
    }
    if described.body is not None and not is_bodiless:
        is_needed = described.body not in ("form", "graphql") and route.name != "operation"
        operation["requestBody"] = {"required": is_needed, "content": _content(described.body)}
    return operation


def _names(route: Route) -> Iterable[str]:
    return (part.partition("}")[0] for part in route.path_format.split("{")[1:])


def _path_schema(name: str) -> JsonObject:
    if name == "code":
        # $graphql has routes of its own.
        codes = {each.definition.code for each in load_operations()} - {"graphql"}
        return {"enum": sorted(codes)}
    return _PATH.get(name, {"type": "string"})


def _responses(described: _Route, method: str) -> JsonObject:
    responses: JsonObject = {}
    for status in described.statuses:
        response: JsonObject = {"description": _DESCRIPTIONS[status]}
        if described.answer is not None and status != 204 and method not in _NO_BODY:  # noqa: PLR2004 - No Content
            response["content"] = _content(described.answer)
        responses[str(status)] = response
    if "If-None-Match" in described.headers:
        responses["304"] = {"description": "Not modified"}
    for family, what in (("4XX", "The request is refused"), ("5XX", "The server cannot do it")):
        response = {"description": f"{what}; the OperationOutcome says why"}
        if method not in _NO_BODY:
            response["content"] = _content(described.errors)
        responses[family] = response
    return responses


_DESCRIPTIONS: Final = {
    200: "Done",
    201: "Created",
    202: "Accepted: Content-Location names the state of the job",
    204: "Done, and there is nothing to say",
    303: "The job is done; Location names its result",
}


def _content(what: str) -> JsonObject:
    return _CONTENTS[what]


def _of(name: str, *media_types: str) -> JsonObject:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}} for media_type in media_types}


_TEXT: Final[JsonObject] = {"schema": {"type": "string"}}
_CONTENTS: Final[Mapping[str, JsonObject]] = {
    "resource": {**_of("Resource", _JSON), _XML: _TEXT},
    "bundle": {**_of("Bundle", _JSON), _XML: _TEXT},
    "outcome": {**_of("OperationOutcome", _JSON), _XML: _TEXT},
    # Resources; where the type is Binary, content of any other type too.
    "content": {**_of("Resource", _JSON), _XML: _TEXT, "*/*": {}},
    "patch": {
        **_of("JsonPatch", "application/json-patch+json"),
        "application/merge-patch+json": {"schema": {"type": "object"}},
        **_of("Resource", _JSON),
        _XML: _TEXT,
    },
    "form": {_FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}},
    "graphql": {**_of("GraphQLRequest", _PLAIN_JSON), "application/graphql": _TEXT},
    "errors": _of("GraphQLErrors", _PLAIN_JSON),
    "data": {_PLAIN_JSON: {"schema": {"type": "object", "required": ["data"]}}},
    "ndjson": {_NDJSON: _TEXT},
    "anything": {"*/*": {}},
}
