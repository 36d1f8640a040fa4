"""update, update as create and conditional update.

https://hl7.org/fhir/R4/http.html#update, #upsert, #cond-update.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from fhir_server.interactions.answer import write_answer
from fhir_server.interactions.negotiation import check_format, read_body
from fhir_server.interactions.server import Server
from fhir_server.store.identity import check_id, type_number
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation, check_body_id, parse_etag
from hie.core.db.database import Transaction
from hie.core.fhir.json import loads

# Parameters of the request itself, which select nothing.
_GENERAL = ("_format=", "_pretty=")


def criteria_query(request: Request) -> str:
    """Return the query of `request` without `_format` and `_pretty`."""
    return "&".join(part for part in request.url.query.split("&") if not part.startswith(_GENERAL))


def if_match(request: Request) -> int | None:
    """Return the version that If-Match names; raises RequestError."""
    given = request.headers.get("if-match")
    return None if given is None else parse_etag(given)


def mount(router: APIRouter, server: Server) -> None:
    """Add ``PUT [base]/[type]/[id]`` and ``PUT [base]/[type]?[criteria]``."""

    async def body(request: Request) -> bytes:
        return await read_body(request, server.max_body_bytes)

    @router.put("/{resource_type}/{resource_id}", name="update")
    def update(
        request: Request, resource_type: str, resource_id: str, text: Annotated[bytes, Depends(body)]
    ) -> Response:
        check_format(request)
        type_number(resource_type)
        return write(
            request,
            Operation("PUT", type=resource_type, id=check_id(resource_id), if_match=if_match(request)),
            text,
        )

    @router.put("/{resource_type}", name="conditional update")
    def conditional_update(
        request: Request, resource_type: str, text: Annotated[bytes, Depends(body)]
    ) -> Response:
        check_format(request)
        criteria = parse(resource_type, criteria_query(request))
        return write(
            request, Operation("PUT", type=resource_type, criteria=criteria, if_match=if_match(request)), text
        )

    def write(request: Request, operation: Operation, text: bytes) -> Response:
        operation.resource = server.repository.checked(loads(text, has_unique_names=False), operation.type)
        check_body_id(operation)

        def work(transaction: Transaction) -> Response:
            made = server.repository.apply_one(transaction, operation)
            return write_answer(request, made, server.body_of(transaction, made), server.base_url)

        return server.run(work)
