"""Error pages for people; programs keep their OperationOutcome.

Wraps the exception handlers that `hie.core.web.errors` has installed: an address of
the API, or a client that does not ask for HTML, is answered by them as before.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg.errors import QueryCanceled
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from hie.core.errors import ExchangeError
from hie.portal.page import Pages

_HANDLED: Final[tuple[type[Exception], ...]] = (
    ExchangeError,
    HTTPException,
    RequestValidationError,
    QueryCanceled,
    Exception,
)
_PROGRAMS: Final = ("/fhir", "/api", "/metrics", "/health")
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_UNAVAILABLE: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})

_Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


def install(app: FastAPI, pages: Pages) -> None:
    """Answer browsers with pages; the handlers that `app` has now keep answering all others."""
    for kind in _HANDLED:
        earlier = app.exception_handlers.get(kind)
        if earlier is not None:
            app.add_exception_handler(kind, _with_page(pages, earlier))


def wants_page(request: Request) -> bool:
    """Whether the request comes from a browser that shows a page."""
    path = request.url.path
    is_program = any(path == prefix or path.startswith(prefix + "/") for prefix in _PROGRAMS)
    return not is_program and "text/html" in request.headers.get("Accept", "")


def _with_page(pages: Pages, earlier: ExceptionHandler) -> ExceptionHandler:
    answer: _Handler = earlier  # type: ignore[assignment] # Starlette's union has websockets in it

    async def handle(request: Request, error: Exception) -> Response:
        response = answer(request, error)
        if not isinstance(response, Response):
            response = await response
        if not wants_page(request):
            return response
        kept = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
        status = response.status_code
        return pages.render(
            request,
            "error.html",
            status=status,
            headers=kept,
            what=_what(status),
            error_status=status,
            back="",
        )

    return handle


def _what(status: int) -> str:
    """Return which of the error texts a status has."""
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return "not-found"
    if status in _REFUSED:
        return "forbidden"
    if status in _UNAVAILABLE:
        return "unavailable"
    return "fault" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "request"
