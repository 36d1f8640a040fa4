"""Answers of the interactions: bytes of stored bodies, with the headers that FHIR asks for.

https://hl7.org/fhir/R4/http.html#versioning, #return. Errors are not made here:
raising an ExchangeError suffices.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final, cast

import orjson
from fastapi import Request, Response

from fhir_server.interactions.negotiation import preferred_return
from fhir_server.interactions.xml_answer import xml_answer
from fhir_server.search.query import Query, Summary
from fhir_server.search.subset import is_whole, subset
from fhir_server.store.content import instant
from fhir_server.transaction.plan import Outcome
from hie.core.errors import Issue, MalformedSearchError, outcome
from hie.core.fhir.json import JsonObject, dumps, dumps_pretty, loads
from hie.core.ports import StoredResource
from hie.core.web.media_types import CONTENT_TYPES, parameter, wanted

_SUMMARIES: Final = frozenset({"true", "text", "data", "false"})
_HAPPENED = {200: "is unchanged or updated", 201: "was created", 204: "was deleted"}


def etag(version: int) -> str:
    """Return the weak ETag of `version`."""
    return f'W/"{version}"'


def json_answer(
    request: Request, text: bytes, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    """Return the resource in JSON `text` in the format that the request asks for, indented if it says so.

    Raises NotAcceptableError where that is XML and JSON holds what XML cannot.
    """
    form, is_pretty = wanted(request)
    shown = text
    if form == "xml":
        shown = xml_answer(loads(text), is_pretty=is_pretty)
    elif is_pretty:
        shown = dumps_pretty(loads(text))
    return Response(shown, status, {**(headers or {}), "Vary": "Accept"}, media_type=CONTENT_TYPES[form])


def version_headers(version: int, last_updated: datetime | None) -> dict[str, str]:
    """Return ETag and Last-Modified of a version."""
    headers = {"ETag": etag(version)}
    if last_updated is not None:
        headers["Last-Modified"] = format_datetime(last_updated, usegmt=True)
    return headers


def resource_answer(request: Request, stored: StoredResource) -> Response:
    """Return the body of `stored`, or the part of it that `_summary` or `_elements` asks for."""
    headers = version_headers(stored.version, stored.last_updated)
    return json_answer(request, shown(request, stored.type, stored.body or b""), headers=headers)


def shown(request: Request, resource_type: str, text: bytes) -> bytes:
    """Return the resource in JSON `text`, or the part of it that `_summary` or `_elements` asks for.

    https://hl7.org/fhir/R4/http.html#read names them for reads too. Raises MalformedSearchError for a value
    that a read does not have.
    """
    if not request.scope.get("query_string"):
        return text
    given = {name: parameter(request, name) for name in ("_elements", "_summary")}
    return part_of(resource_type, text, given)


def part_of(resource_type: str, text: bytes, parameters: Mapping[str, str | None]) -> bytes:
    """Return the resource in JSON `text`, or the part of it that `_summary` or `_elements` asks for."""
    elements, summary = parameters.get("_elements"), parameters.get("_summary")
    if elements is None and summary is None:
        return text
    if summary is not None and summary not in _SUMMARIES:
        raise MalformedSearchError(f"A read has no summary `{summary}`", expression="_summary")
    query = Query(
        resource_type,
        summary=cast("Summary", summary or "false"),
        elements=tuple(name.strip() for name in elements.split(",") if name.strip()) if elements else (),
    )
    return text if is_whole(query) else subset(text, resource_type, query)


def write_answer(request: Request, made: Outcome, body: bytes | None, base_url: str) -> Response:
    """Return the answer to a create, update or delete, as ``Prefer: return=`` wants it."""
    headers = version_headers(made.version, made.last_updated) if made.version else {}
    if made.status in (HTTPStatus.CREATED, HTTPStatus.OK):
        headers["Location"] = f"{base_url}/{made.type}/{made.id}/_history/{made.version}"
    preference = preferred_return(request)
    if preference == "OperationOutcome":
        status = HTTPStatus.OK if made.status == HTTPStatus.NO_CONTENT else made.status
        return json_answer(request, dumps(write_outcome(made)), status, headers)
    if preference == "minimal" or body is None:
        return Response(status_code=made.status, headers=headers)
    return json_answer(request, body, made.status, headers)


def write_outcome(made: Outcome) -> JsonObject:
    """Return an OperationOutcome that says what became of the resource, or of each that was deleted."""
    subjects = [
        f"`{each.type}/{each.id}`" if each.id else f"No {each.type} is selected: nothing"
        for each in (made, *made.others)
    ]
    happened = _HAPPENED[made.status]
    return outcome([Issue("information", "informational", f"{subject} {happened}") for subject in subjects])


def response_entry(made: Outcome, body: bytes | str | None = None) -> JsonObject:
    """Return the entry of a transaction-response or batch-response Bundle."""
    response: JsonObject = {"status": f"{made.status} {HTTPStatus(made.status).phrase}"}
    if made.id and made.status != HTTPStatus.NO_CONTENT:
        response["location"] = f"{made.type}/{made.id}/_history/{made.version}"
    if made.version:
        response["etag"] = etag(made.version)
    if made.last_updated is not None:
        response["lastModified"] = instant(made.last_updated)
    entry: JsonObject = {}
    if body is not None:
        entry["resource"] = orjson.Fragment(body)
    entry["response"] = response
    return entry
