"""patch and conditional patch: https://hl7.org/fhir/R4/http.html#patch.

The content type says which language: JSON Patch, JSON Merge Patch, or FHIRPath Patch in Parameters.
XML Patch is not supported.
"""

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import write_answer
from fhir_server.interactions.negotiation import check_format, read_patch_body
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.interactions.update import criteria_query, if_match, if_none_match
from fhir_server.store.identity import check_id, type_number
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.patch import Patch, fhirpath_patch, json_patch, merge_patch
from hie.core.db.database import Transaction


def mount(router: APIRouter, server: Server) -> None:
    """Add ``PATCH [base]/[type]/[id]`` and ``PATCH [base]/[type]?[criteria]``."""

    async def read(request: Request) -> tuple[str, bytes]:
        return await read_patch_body(request, server.max_body_bytes)

    @interaction(router, "/{resource_type}/{resource_id}", name="patch", methods=["PATCH"], body=read)
    def patch(request: Request, resource_type: str, resource_id: str, body: tuple[str, bytes]) -> Response:
        check_format(request)
        type_number(resource_type)
        return write(request, Operation("PATCH", type=resource_type, id=check_id(resource_id)), body)

    @interaction(router, "/{resource_type}", name="conditional patch", methods=["PATCH"], body=read)
    def conditional_patch(request: Request, resource_type: str, body: tuple[str, bytes]) -> Response:
        check_format(request)
        criteria = parse(resource_type, criteria_query(request))
        return write(request, Operation("PATCH", type=resource_type, criteria=criteria), body)

    def patch_of(given: tuple[str, bytes]) -> Patch:
        language, text = given
        body = server.read_json(text)
        if language == "json-patch":
            return json_patch(body)
        is_plain = language == "json" and isinstance(body, dict) and body.get("resourceType") != "Parameters"
        if language == "merge-patch" or is_plain:
            return merge_patch(body)
        return fhirpath_patch(server.repository.checked(body, "Parameters"))

    def write(request: Request, operation: Operation, given: tuple[str, bytes]) -> Response:
        operation.patch = patch_of(given)
        operation.if_match, operation.if_none_match = if_match(request), if_none_match(request)

        def work(transaction: Transaction) -> Response:
            (made,) = server.repository.apply_whole(transaction, [operation])
            return write_answer(request, made, server.body_of(transaction, made), server.base_url)

        return server.run(request, work)
