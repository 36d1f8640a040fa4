"""create and conditional create: https://hl7.org/fhir/R4/http.html#create, #ccreate."""

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import write_answer
from fhir_server.interactions.negotiation import check_format, read_body
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.store.identity import type_number
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation
from hie.core.db.database import Transaction


def mount(router: APIRouter, server: Server) -> None:
    """Add ``POST [base]/[type]``."""

    async def read(request: Request) -> bytes:
        return await read_body(request, server.max_body_bytes)

    @interaction(router, "/{resource_type}", name="create", methods=["POST"], body=read)
    def create(request: Request, resource_type: str, body: bytes) -> Response:
        check_format(request)
        type_number(resource_type)
        resource = server.repository.checked(server.read_json(body), resource_type)
        condition = request.headers.get("if-none-exist")
        criteria = parse(resource_type, condition.rpartition("?")[2]) if condition is not None else None
        operation = Operation("POST", type=resource_type, criteria=criteria, resource=resource)

        def work(transaction: Transaction) -> Response:
            (made,) = server.repository.apply_whole(transaction, [operation])
            return write_answer(request, made, server.body_of(transaction, made), server.base_url)

        return server.run(request, work)
