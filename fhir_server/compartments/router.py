"""The routes of compartment search: https://hl7.org/fhir/R4/http.html#vsearch."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from fhir_server.compartments.search import compartment_search
from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.negotiation import check_format, preferences, read_form, read_parameters
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server

NAME = "compartment search"


def mount(router: APIRouter, server: Server) -> None:
    """Add ``GET [base]/[compartment]/[id]/[type]``, where the type may be ``*``, and its twin by POST.

    Mount it behind what has three segments of its own: history and operations.
    """

    async def read(request: Request) -> Sequence[tuple[str, str]]:
        return await read_form(request, server.max_body_bytes)

    @interaction(router, "/{compartment}/{resource_id}/{resource_type}", name=NAME)
    def search(request: Request, compartment: str, resource_id: str, resource_type: str) -> Response:
        parameters = read_parameters(request.url.query)
        return answer(request, (compartment, resource_id), resource_type, parameters)

    @interaction(
        router,
        "/{compartment}/{resource_id}/{resource_type}/_search",
        name=f"{NAME} by POST",
        methods=["POST"],
        body=read,
    )
    def search_by_post(
        request: Request,
        compartment: str,
        resource_id: str,
        resource_type: str,
        body: Sequence[tuple[str, str]],
    ) -> Response:
        parameters = [*read_parameters(request.url.query), *body]
        return answer(request, (compartment, resource_id), resource_type, parameters)

    def answer(
        request: Request, owner: tuple[str, str], resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> Response:
        check_format(request)
        is_lenient = preferences(request).handling != "strict"
        text = server.look(
            request,
            lambda transaction: compartment_search(
                server, transaction, owner, resource_type, parameters, is_lenient=is_lenient
            ),
        )
        return json_answer(request, text)
