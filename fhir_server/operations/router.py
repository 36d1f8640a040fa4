"""The routes of the operations, at system, type and instance level, by GET and POST.

https://hl7.org/fhir/R4/operations.html#executing. Which operation is meant is found in the registry:
a new operation needs no route.
"""

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.negotiation import check_format, preferences, read_body, read_parameters
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.operations.dispatch import Path, operation_at, parse_path, perform, refused_get
from fhir_server.operations.operation import Reply
from hie.core.db.database import Transaction
from hie.core.errors import operation_outcome
from hie.core.web.errors import outcome_response

NAME = "operation"
_METHODS = ["GET", "HEAD", "POST"]
_PREFIX = "/fhir"


def mount(router: APIRouter, server: Server) -> None:
    """Add ``[base]/$op``, ``[base]/[type]/$op``, ``[base]/[type]/[id]/$op`` and that of a version.

    Mount it before the routes that take any id: ``$op`` is none.
    """

    async def read(request: Request) -> bytes:
        if request.method != "POST" or _has_no_body(request):
            return b""
        return await read_body(request, server.max_body_bytes)

    @interaction(router, "/${code}", name=NAME, methods=_METHODS, body=read)
    def system_level(request: Request, code: str, body: bytes) -> Response:
        return _answer(request, server, Path(code), body)

    @interaction(router, "/{resource_type}/${code}", name=NAME, methods=_METHODS, body=read)
    def type_level(request: Request, resource_type: str, code: str, body: bytes) -> Response:
        return _answer(request, server, Path(code, resource_type), body)

    @interaction(router, "/{resource_type}/{resource_id}/${code}", name=NAME, methods=_METHODS, body=read)
    def instance_level(
        request: Request, resource_type: str, resource_id: str, code: str, body: bytes
    ) -> Response:
        return _answer(request, server, Path(code, resource_type, resource_id), body)

    @interaction(
        router,
        "/{resource_type}/{resource_id}/_history/{version}/${code}",
        name=NAME,
        methods=_METHODS,
        body=read,
    )
    def version_level(
        request: Request, resource_type: str, resource_id: str, version: str, code: str, body: bytes
    ) -> Response:
        return _answer(
            request, server, parse_path(f"{resource_type}/{resource_id}/_history/{version}/${code}"), body
        )


def _answer(request: Request, server: Server, path: Path, text: bytes) -> Response:
    check_format(request)
    refusal = refused_get(operation_at(server, path)) if request.method != "POST" else None
    if refusal is not None:
        refused = outcome_response(request, operation_outcome(refusal), refusal.status)
        refused.headers["Allow"] = "POST"  # RFC 9110, 15.5.6
        return refused
    query = read_parameters(request.url.query)
    given = server.read_json(text) if text else None
    # The path as clients see it begins with the base URL, which may be another than the listener's.
    url = f"{server.base_url}{request.url.path.removeprefix(_PREFIX)}"

    def work(transaction: Transaction) -> Reply:
        return perform(
            server,
            transaction,
            path,
            is_get=request.method != "POST",
            query=query,
            body=given,
            headers=request.headers,
            url=f"{url}?{request.url.query}" if request.url.query else url,
            is_lenient=preferences(request).handling == "lenient",
        )

    reply = server.run(request, work)
    if reply.body is None:
        return Response(status_code=reply.status, headers=dict(reply.headers))
    return json_answer(request, reply.body, reply.status, dict(reply.headers))


def _has_no_body(request: Request) -> bool:
    """Say whether a POST comes without a body: its inputs stand in the URL, or it has none."""
    return request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
