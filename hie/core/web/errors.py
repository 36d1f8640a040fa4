"""Errors on the wire: every failing answer of the API is an OperationOutcome."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg.errors import QueryCanceled
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from hie.core.errors import ExchangeError, Issue, NotAcceptableError, operation_outcome, outcome
from hie.core.fhir.json import JsonObject, dumps, dumps_pretty
from hie.core.fhir.xml_write import to_xml
from hie.core.web.media_types import CONTENT_TYPES, wanted

_log = logging.getLogger("hie.web")

_CODES = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not-supported",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not-supported",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-long",
}


def install(app: FastAPI) -> None:
    """Answer every exception of `app` with an OperationOutcome; faults of ours are logged, not shown."""
    app.add_exception_handler(ExchangeError, _on_exchange_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_request_validation)
    app.add_exception_handler(QueryCanceled, _on_timeout)
    app.add_exception_handler(ClientDisconnect, _on_incomplete_body)
    app.add_exception_handler(Exception, _on_fault)


def outcome_response(request: Request, content: JsonObject, status: int) -> Response:
    """Return an OperationOutcome in the format that `request` asks for, JSON where that is unknown."""
    try:
        form, is_pretty = wanted(request)
        text = to_xml(content, is_pretty=is_pretty) if form == "xml" else dumps(content)
    except NotAcceptableError:  # an unknown format, or a quoted character that XML does not have
        form, is_pretty, text = "json", False, dumps(content)
    if form == "json" and is_pretty:
        text = dumps_pretty(content)
    return Response(text, status, media_type=CONTENT_TYPES[form])


def _answer(request: Request, status: int, code: str, message: str) -> Response:
    return outcome_response(request, outcome([Issue("error", code, message)]), status)


def _on_exchange_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ExchangeError):  # pragma: no cover - Starlette dispatches by class
        raise error
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.url.path, type(error).__name__)
    return outcome_response(request, operation_outcome(error), error.status)


def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover - Starlette dispatches by class
        raise error
    code = _CODES.get(HTTPStatus(error.status_code), "processing")
    text = f"{request.method} {request.url.path}: {HTTPStatus(error.status_code).phrase}"
    response = _answer(request, error.status_code, code, text)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _on_request_validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):  # pragma: no cover - Starlette dispatches by class
        raise error
    issues = [
        Issue("error", "invalid", str(finding["msg"]), ".".join(str(step) for step in finding["loc"]))
        for finding in error.errors()
    ]
    return outcome_response(request, outcome(issues), HTTPStatus.BAD_REQUEST)


def _on_timeout(request: Request, _error: Exception) -> Response:
    return _answer(
        request,
        HTTPStatus.GATEWAY_TIMEOUT,
        "too-costly",
        "The request took longer than HIE_STATEMENT_TIMEOUT_SECONDS; narrow the search",
    )


def _on_incomplete_body(request: Request, _error: Exception) -> Response:
    return _answer(request, HTTPStatus.BAD_REQUEST, "structure", "The body ends before it is complete")


def _on_fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s: %s", request.method, request.url.path, type(error).__name__, exc_info=error)
    return _answer(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "exception",
        "The server met a fault of its own; it is logged",
    )
