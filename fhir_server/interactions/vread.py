"""vread: https://hl7.org/fhir/R4/http.html#vread."""

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import resource_answer, version_headers
from fhir_server.interactions.negotiation import check_format
from fhir_server.interactions.read import is_not_modified
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from hie.core.errors import NotFoundError

_MOST_DIGITS = 9


def version_number(text: str, resource_type: str, resource_id: str) -> int:
    """Return the version that `text` names; raises NotFoundError for one that no resource can have."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotFoundError(f"`{resource_type}/{resource_id}` has no version {text}")
    return int(text)


def mount(router: APIRouter, server: Server) -> None:
    """Add ``GET [base]/[type]/[id]/_history/[vid]``."""

    @interaction(router, "/{resource_type}/{resource_id}/_history/{version}", name="vread")
    def vread(request: Request, resource_type: str, resource_id: str, version: str) -> Response:
        check_format(request)
        number = version_number(version, resource_type, resource_id)
        stored = server.look(
            request,
            lambda transaction: server.repository.vread(transaction, resource_type, resource_id, number),
        )
        if is_not_modified(request, stored):
            return Response(status_code=304, headers=version_headers(stored.version, stored.last_updated))
        return resource_answer(request, stored)
