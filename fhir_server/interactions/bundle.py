"""transaction and batch: https://hl7.org/fhir/R4/http.html#transaction."""

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.deferred import deferred
from fhir_server.interactions.entries import bundle_answer, read_bundle
from fhir_server.interactions.negotiation import check_format, preferences, read_body
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server


def mount(router: APIRouter, server: Server) -> None:
    """Add ``POST [base]``."""

    async def read(request: Request) -> bytes:
        return await read_body(request, server.max_body_bytes)

    @interaction(router, "/", name="transaction or batch", methods=["POST"], body=read)
    @interaction(router, "", name="transaction or batch", methods=["POST"], body=read)
    def bundle(request: Request, body: bytes) -> Response:
        check_format(request)
        given = server.read_json(body)
        read_bundle(server, given)
        accepted = deferred(request, server, "", body)
        if accepted is not None:
            return accepted
        preference = preferences(request).returns or "minimal"
        answer = server.run(
            request, lambda transaction: bundle_answer(server, transaction, given, preference)
        )
        return json_answer(request, answer)
