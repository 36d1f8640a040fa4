"""The routes of $graphql, whose requests and answers are those of GraphQL and not of FHIR.

https://hl7.org/fhir/R4/graphql.html#invoking: by GET with a query, by POST of the document or of JSON. The
answer is ``application/json`` whatever Accept says: the specification describes no other.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from fhir_server.graphql import service
from fhir_server.graphql.reading import read_query, read_request
from fhir_server.interactions.negotiation import read_bytes
from fhir_server.interactions.server import Server
from fhir_server.store.identity import check_id, type_number
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject, dumps

_NAME: Final = "graphql"
_METHODS: Final = ["GET", "HEAD", "POST"]
_MEDIA_TYPE: Final = "application/json"
# RFC 9110, 15.5.6
_ONLY_POST: Final = {"Allow": "POST"}


def mount(router: APIRouter, server: Server) -> None:
    """Add ``[base]/$graphql`` and ``[base]/[type]/[id]/$graphql``; mount it before the operations."""

    async def body(request: Request) -> bytes | ExchangeError:
        try:
            return await read_bytes(request, server.max_body_bytes) if request.method == "POST" else b""
        except ExchangeError as error:
            return error

    content = Annotated[bytes | ExchangeError, Depends(body)]

    @router.api_route("/$graphql", name=_NAME, methods=_METHODS)
    def system_level(request: Request, given: content) -> Response:
        return answer(request, given, lambda: None)

    @router.api_route("/{resource_type}/{resource_id}/$graphql", name=_NAME, methods=_METHODS)
    def instance_level(request: Request, resource_type: str, resource_id: str, given: content) -> Response:
        def instance() -> service.Instance:
            type_number(resource_type)
            return service.Instance(resource_type, check_id(resource_id))

        return answer(request, given, instance)

    def answer(
        request: Request, given: bytes | ExchangeError, place: Callable[[], service.Instance | None]
    ) -> Response:
        try:
            if isinstance(given, ExchangeError):
                raise given
            instance = place()
            is_post = request.method == "POST"
            content_type = request.headers.get("content-type", "")
            query = request.url.query
            asked = read_request(query, content_type, given, server) if is_post else read_query(query, server)

            def work(transaction: Transaction) -> JsonObject:
                return service.answer(asked, server, transaction, instance=instance, may_write=is_post)

            result = server.run(request, work)
        except ExchangeError as error:
            headers = _ONLY_POST if error.status == HTTPStatus.METHOD_NOT_ALLOWED else None
            return Response(dumps(service.errors(error)), error.status, headers, media_type=_MEDIA_TYPE)
        return Response(dumps(result), HTTPStatus.OK, media_type=_MEDIA_TYPE)
