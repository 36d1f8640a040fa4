"""search by GET and POST: https://hl7.org/fhir/R4/http.html#search.

Reads the parameters and ``Prefer: handling=``; answers with a searchset Bundle.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.deferred import deferred
from fhir_server.interactions.negotiation import check_format, preferences, read_form, read_parameters
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.search.bundle import searchset


def mount(router: APIRouter, server: Server) -> None:
    """Add ``GET [base]/[type]``, ``GET [base]`` and their twins by ``POST .../_search``."""

    async def read(request: Request) -> Sequence[tuple[str, str]]:
        return await read_form(request, server.max_body_bytes)

    @interaction(router, "/{resource_type}", name="search-type")
    def search(request: Request, resource_type: str) -> Response:
        return _answer(request, server, resource_type, read_parameters(_query_of(request)))

    @interaction(router, "/{resource_type}/_search", name="search-type by POST", methods=["POST"], body=read)
    def search_by_post(request: Request, resource_type: str, body: Sequence[tuple[str, str]]) -> Response:
        # Parameters of the URL and of the body count alike.
        return _answer(request, server, resource_type, [*read_parameters(_query_of(request)), *body])

    @interaction(router, "/", name="search-system", is_shown=False)
    @interaction(router, "", name="search-system")
    def search_system(request: Request) -> Response:
        return _answer(request, server, "", read_parameters(_query_of(request)))

    @interaction(router, "/_search", name="search-system by POST", methods=["POST"], body=read)
    def search_system_by_post(request: Request, body: Sequence[tuple[str, str]]) -> Response:
        return _answer(request, server, "", [*read_parameters(_query_of(request)), *body])


def _query_of(request: Request) -> str:
    """Return the query string, as `Request.url` has it, which is made of the whole URL."""
    text: bytes = request.scope["query_string"]
    return text.decode("latin-1")


def _answer(
    request: Request,
    server: Server,
    resource_type: str,
    parameters: Sequence[tuple[str, str]],
) -> Response:
    check_format(request)
    preferred = preferences(request)
    if preferred.responds_async:
        accepted = deferred(request, server, f"{resource_type}?{urlencode(parameters)}")
        if accepted is not None:
            return accepted
    # An unknown parameter is named in the answer, unless the client asks for strict handling.
    is_lenient = preferred.handling != "strict"
    answer = server.look(
        request,
        lambda transaction: server.repository.answer(
            transaction, resource_type, parameters, is_lenient=is_lenient
        ),
    )
    text = searchset(answer.page, resource_type, answer.query.applied, server.base_url, answer.issues)
    return json_answer(request, text)
