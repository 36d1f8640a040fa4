"""delete and conditional delete: https://hl7.org/fhir/R4/http.html#delete, #3.1.0.7.1.

A conditional delete deletes all that its criteria select, at most as many as the settings allow.
"""

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import write_answer
from fhir_server.interactions.negotiation import check_format
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.interactions.update import criteria_query, if_match
from fhir_server.store.identity import check_id, type_number
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation
from hie.core.db.database import Transaction


def mount(router: APIRouter, server: Server) -> None:
    """Add ``DELETE [base]/[type]/[id]`` and ``DELETE [base]/[type]?[criteria]``."""

    @interaction(router, "/{resource_type}/{resource_id}", name="delete", methods=["DELETE"])
    def delete(request: Request, resource_type: str, resource_id: str) -> Response:
        check_format(request)
        type_number(resource_type)
        return remove(
            request,
            Operation("DELETE", type=resource_type, id=check_id(resource_id), if_match=if_match(request)),
        )

    @interaction(router, "/{resource_type}", name="conditional delete", methods=["DELETE"])
    def conditional_delete(request: Request, resource_type: str) -> Response:
        check_format(request)
        criteria = parse(resource_type, criteria_query(request))
        return remove(
            request, Operation("DELETE", type=resource_type, criteria=criteria, if_match=if_match(request))
        )

    def remove(request: Request, operation: Operation) -> Response:
        def work(transaction: Transaction) -> Response:
            (made,) = server.repository.apply_whole(transaction, [operation])
            return write_answer(request, made, None, server.base_url)

        return server.run(request, work)
