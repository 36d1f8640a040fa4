"""Answers of the interactions: bytes of stored bodies, with the headers that FHIR asks for.

https://hl7.org/fhir/R4/http.html#versioning, #return. Errors are not made here:
raising an ExchangeError suffices.
"""

from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus

import orjson
from fastapi import Request, Response

from fhir_server.interactions.negotiation import FHIR_JSON, is_pretty, preferred_return
from fhir_server.store.content import instant
from fhir_server.transaction.plan import Outcome
from hie.core.errors import Issue, outcome
from hie.core.fhir.json import JsonObject, dumps, dumps_pretty, loads
from hie.core.ports import StoredResource

_HAPPENED = {200: "is unchanged or updated", 201: "was created", 204: "was deleted"}


def etag(version: int) -> str:
    """Return the weak ETag of `version`."""
    return f'W/"{version}"'


def json_answer(
    request: Request, text: bytes, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    """Return JSON `text`, indented if the request says so."""
    shown = dumps_pretty(loads(text)) if is_pretty(request) else text
    return Response(shown, status, headers, media_type=FHIR_JSON)


def version_headers(version: int, last_updated: datetime | None) -> dict[str, str]:
    """Return ETag and Last-Modified of a version."""
    headers = {"ETag": etag(version)}
    if last_updated is not None:
        headers["Last-Modified"] = format_datetime(last_updated, usegmt=True)
    return headers


def resource_answer(request: Request, stored: StoredResource) -> Response:
    """Return the body of `stored`."""
    headers = version_headers(stored.version, stored.last_updated)
    return json_answer(request, stored.body or b"", headers=headers)


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
    """Return an OperationOutcome that says what became of the resource."""
    subject = f"`{made.type}/{made.id}`" if made.id else f"No {made.type} is selected: nothing"
    return outcome([Issue("information", "informational", f"{subject} {_HAPPENED[made.status]}")])


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
