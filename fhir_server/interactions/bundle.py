"""transaction and batch: https://hl7.org/fhir/R4/http.html#transaction."""

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask

from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.deferred import deferred
from fhir_server.interactions.entries import bundle_answer, read_bundle
from fhir_server.interactions.negotiation import check_format, preferences, read_body
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from hie.core.garbage import give_back

# Parsed and indexed, a Bundle takes twenty times its length.
_LARGE_BYTES: Final = 1024 * 1024


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
        asked = preferences(request)
        preference, is_lenient = asked.returns or "minimal", asked.handling != "strict"
        answer = server.run(
            request,
            lambda transaction: bundle_answer(server, transaction, given, preference, is_lenient=is_lenient),
        )
        response = json_answer(request, answer)
        if len(body) > _LARGE_BYTES:
            # After the answer: here everything that the Bundle was made of is still held.
            response.background = BackgroundTask(give_back)
        return response
