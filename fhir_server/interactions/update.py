"""update, update as create and conditional update.

https://hl7.org/fhir/R4/http.html#update, #upsert, #cond-update.
"""

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import write_answer
from fhir_server.interactions.negotiation import check_format, read_body
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.store.identity import check_id, type_number
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation, check_body_id
from fhir_server.transaction.etag import ETags, parse_etags
from hie.core.db.database import Transaction

# Parameters of the request itself, which select nothing.
_GENERAL = ("_format=", "_pretty=")


def criteria_query(request: Request) -> str:
    """Return the query of `request` without `_format` and `_pretty`."""
    return "&".join(part for part in request.url.query.split("&") if not part.startswith(_GENERAL))


def if_match(request: Request) -> ETags | None:
    """Return the versions that If-Match names; raises RequestError."""
    return _etags(request, "if-match")


def if_none_match(request: Request) -> ETags | None:
    """Return the versions that If-None-Match names, ``*`` being any; raises RequestError."""
    return _etags(request, "if-none-match")


def _etags(request: Request, header: str) -> ETags | None:
    given = request.headers.get(header)
    return None if given is None else parse_etags(given)


def mount(router: APIRouter, server: Server) -> None:
    """Add ``PUT [base]/[type]/[id]`` and ``PUT [base]/[type]?[criteria]``."""

    async def read(request: Request) -> bytes:
        return await read_body(request, server.max_body_bytes)

    @interaction(router, "/{resource_type}/{resource_id}", name="update", methods=["PUT"], body=read)
    def update(request: Request, resource_type: str, resource_id: str, body: bytes) -> Response:
        check_format(request)
        type_number(resource_type)
        return write(
            request,
            Operation("PUT", type=resource_type, id=check_id(resource_id)),
            body,
        )

    @interaction(router, "/{resource_type}", name="conditional update", methods=["PUT"], body=read)
    def conditional_update(request: Request, resource_type: str, body: bytes) -> Response:
        check_format(request)
        criteria = parse(resource_type, criteria_query(request))
        return write(request, Operation("PUT", type=resource_type, criteria=criteria), body)

    def write(request: Request, operation: Operation, text: bytes) -> Response:
        operation.resource = server.repository.checked(server.read_json(text), operation.type)
        check_body_id(operation)
        operation.if_match, operation.if_none_match = if_match(request), if_none_match(request)

        def work(transaction: Transaction) -> Response:
            (made,) = server.repository.apply_whole(transaction, [operation])
            return write_answer(request, made, server.body_of(transaction, made), server.base_url)

        return server.run(request, work)
