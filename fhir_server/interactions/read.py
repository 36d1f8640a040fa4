"""read and conditional read: https://hl7.org/fhir/R4/http.html#read, #cread."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import etag, resource_answer, version_headers
from fhir_server.interactions.negotiation import check_format
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from hie.core.ports import StoredResource


def mount(router: APIRouter, server: Server) -> None:
    """Add ``GET [base]/[type]/[id]``."""

    @interaction(router, "/{resource_type}/{resource_id}", name="read")
    def read(request: Request, resource_type: str, resource_id: str) -> Response:
        check_format(request)
        stored = server.look(
            request, lambda transaction: server.repository.read(transaction, resource_type, resource_id)
        )
        if is_not_modified(request, stored):
            headers = version_headers(stored.version, stored.last_updated)
            return Response(status_code=304, headers=headers)
        return resource_answer(request, stored)


def is_not_modified(request: Request, stored: StoredResource) -> bool:
    """Say whether the client has this version already; If-None-Match goes before If-Modified-Since."""
    known = request.headers.get("if-none-match")
    if known is not None:
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return "*" in tags or etag(stored.version).removeprefix("W/") in tags
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        moment: datetime = parsedate_to_datetime(since)
    except ValueError:
        return False  # a date that cannot be read is as if it were not there (RFC 9110, 13.1.3)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return stored.last_updated.replace(microsecond=0) <= moment
