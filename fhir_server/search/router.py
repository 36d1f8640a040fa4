"""search by GET and POST: https://hl7.org/fhir/R4/http.html#search.

Reads the parameters and ``Prefer: handling=``; answers with a searchset Bundle.
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.negotiation import check_format
from fhir_server.interactions.server import Server
from fhir_server.search.bundle import searchset
from fhir_server.search.service import SearchService
from hie.core.errors import PayloadTooLargeError, RequestError, UnsupportedMediaTypeError

_FORM = "application/x-www-form-urlencoded"
# A page's query string is far below; a client with more values sends a POST.
_MOST_PARAMETERS = 1_000


def mount(router: APIRouter, server: Server, service: SearchService) -> None:
    """Add ``GET [base]/[type]`` and ``POST [base]/[type]/_search``."""

    @router.api_route("/{resource_type}", name="search-type", methods=["GET", "HEAD"])
    def search(request: Request, resource_type: str) -> Response:
        return _answer(request, server, service, resource_type, read_parameters(request.url.query))

    @router.post("/{resource_type}/_search", name="search-type by POST")
    async def search_by_post(request: Request, resource_type: str) -> Response:
        form = await _read_form(request, server.max_body_bytes)
        # Parameters of the URL and of the body count alike.
        parameters = [*read_parameters(request.url.query), *read_parameters(form)]
        return await run_in_threadpool(_answer, request, server, service, resource_type, parameters)


def read_parameters(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query string, in order; raises RequestError for too many."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except UnicodeDecodeError as error:
        raise RequestError("The search parameters are not UTF-8") from error
    except ValueError as error:
        raise RequestError(f"A search has at most {_MOST_PARAMETERS} parameters") from error


def _answer(
    request: Request,
    server: Server,
    service: SearchService,
    resource_type: str,
    parameters: Sequence[tuple[str, str]],
) -> Response:
    check_format(request)
    is_lenient = _is_lenient(request)
    answer = server.run(
        lambda transaction: service.answer(transaction, resource_type, parameters, is_lenient=is_lenient)
    )
    text = searchset(
        answer.page, answer.query.resource_type, answer.query.applied, server.base_url, answer.issues
    )
    return json_answer(request, text)


def _is_lenient(request: Request) -> bool:
    """Return whether ``Prefer: handling=lenient`` is asked for (https://hl7.org/fhir/R4/search.html#errors)."""
    for header in request.headers.getlist("prefer"):
        for part in header.replace(";", ",").split(","):
            if part.strip().replace(" ", "") == "handling=lenient":
                return True
    return False


async def _read_form(request: Request, limit_bytes: int) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = b""
    async for chunk in request.stream():
        text += chunk
        if len(text) > limit_bytes:
            raise PayloadTooLargeError(f"The body is larger than {limit_bytes} bytes")
    if not text:
        return ""
    if media_type != _FORM:
        raise UnsupportedMediaTypeError(f"A search by POST is sent as {_FORM}")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise RequestError("The search parameters are not UTF-8") from error
