"""Binary in its native form: read, vread, create and update of raw content.

https://hl7.org/fhir/R4/binary.html#rest. A client gets the content of a Binary in its own type unless it asks
for FHIR, by Accept, `_format`, or a part of the resource (`_summary`, `_elements`). What is sent with a
content type of its own becomes a Binary; FHIR JSON and XML do too, unless they are a Binary already.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import resource_answer, version_headers, write_answer
from fhir_server.interactions.negotiation import check_format, read_bytes
from fhir_server.interactions.read import is_not_modified
from fhir_server.interactions.route import interaction
from fhir_server.interactions.server import Server
from fhir_server.interactions.update import if_match, if_none_match
from fhir_server.interactions.vread import version_number
from fhir_server.store.identity import TYPE_NUMBER, check_id
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation, check_body_id
from hie.core.db.database import Transaction
from hie.core.errors import (
    MalformedJSONError,
    MalformedXMLError,
    NestedTooDeeplyError,
    NotAcceptableError,
    NotFoundError,
    UnsupportedMediaTypeError,
)
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.core.fhir.signatures import HEAD_BYTES, contradicts
from hie.core.fhir.xml_read import from_xml
from hie.core.ports import StoredResource
from hie.core.web.media_types import body_format, parameter, split, wants_content

TYPE: Final = "Binary"
_CONTEXT: Final = "X-Security-Context"
_DEFAULT_TYPE: Final = "application/octet-stream"
# A media type with parameters that can stand in a header (RFC 9110, 8.3.1).
_MEDIA_TYPE: Final = re.compile(
    r"[\w.+-]+/[\w.+-]+(?: ?; ?[\w.+-]+=(?:[\w.+:-]+|\"[^\"\\\x00-\x1f\x7f]*\"))*", re.ASCII
)
_REFERENCE: Final = re.compile(r"([A-Za-z]{1,64})/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_OF_FHIR: Final = ("_format", "_summary", "_elements")
# Types that browsers show without running anything of; all others, and what is not what it says, they save.
_SHOWN: Final = re.compile(
    r"image/(?:bmp|gif|jpe?g|png|webp)|text/(?:plain|csv)|application/(?:pdf|dicom|(?:fhir\+)?json)|audio/.*|video/.*"
)
# Content is of whoever sent it: a page or picture with scripts must not act as a page of this server.
_HARMLESS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
}


def mount(router: APIRouter, server: Server) -> None:
    """Add the routes of Binary; mount it before those that take any resource type."""

    async def content(request: Request) -> bytes:
        return await read_bytes(request, server.max_body_bytes)

    @interaction(router, "/Binary/{resource_id}", name="read")
    def read(request: Request, resource_id: str) -> Response:
        return _show(
            server, request, lambda transaction: server.repository.read(transaction, TYPE, resource_id)
        )

    @interaction(router, "/Binary/{resource_id}/_history/{version}", name="vread")
    def vread(request: Request, resource_id: str, version: str) -> Response:
        number = version_number(version, TYPE, resource_id)
        return _show(
            server,
            request,
            lambda transaction: server.repository.vread(transaction, TYPE, resource_id, number),
        )

    @interaction(router, "/Binary", name="create", methods=["POST"], body=content)
    def create(request: Request, body: bytes) -> Response:
        check_format(request)
        operation = Operation("POST", type=TYPE, resource=_given(server, request, body))
        condition = request.headers.get("if-none-exist")
        if condition is not None:
            operation.criteria = parse(TYPE, condition.rpartition("?")[2])
        return _write(server, request, operation)

    @interaction(router, "/Binary/{resource_id}", name="update", methods=["PUT"], body=content)
    def update(request: Request, resource_id: str, body: bytes) -> Response:
        check_format(request)
        resource = _given(server, request, body, check_id(resource_id))
        operation = Operation("PUT", type=TYPE, id=resource_id, resource=resource)
        check_body_id(operation)
        operation.if_match, operation.if_none_match = if_match(request), if_none_match(request)
        return _write(server, request, operation)


def _given(server: Server, request: Request, text: bytes, resource_id: str = "") -> JsonObject:
    resource = _sent_resource(request, text, server.read_json)
    if resource is None:
        resource = _made(request, text, server.base_url)
        if resource_id:
            resource["id"] = resource_id
    return server.repository.checked(resource, TYPE)


def _write(server: Server, request: Request, operation: Operation) -> Response:
    def work(transaction: Transaction) -> Response:
        (made,) = server.repository.apply_whole(transaction, [operation])
        return write_answer(request, made, server.body_of(transaction, made), server.base_url)

    return server.run(request, work)


def _show(server: Server, request: Request, find: Callable[[Transaction], StoredResource]) -> Response:
    def work(transaction: Transaction) -> tuple[StoredResource, JsonObject]:
        stored = find(transaction)
        resource: JsonObject = loads(stored.body or b"{}")
        _check_context(server, transaction, resource)
        return stored, resource

    stored, resource = server.look(request, work)
    content_type = str(resource.get("contentType", _DEFAULT_TYPE))
    media_type = split(content_type)[0]
    asks_for_fhir = any(parameter(request, name) is not None for name in _OF_FHIR)
    is_native = not asks_for_fhir and wants_content(request, media_type)
    if not is_native:
        check_format(request)
    headers = {**version_headers(stored.version, stored.last_updated), "Vary": "Accept"}
    if is_not_modified(request, stored):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if not is_native:
        return resource_answer(request, stored)
    context = _context_of(resource)
    if context.isascii() and context.isprintable() and context:
        headers[_CONTEXT] = context
    # As a header and not as `media_type`, to which Starlette adds a charset that nobody knows.
    headers["Content-Type"] = content_type if _MEDIA_TYPE.fullmatch(content_type) else _DEFAULT_TYPE
    content = _content_of(resource)
    if not _SHOWN.fullmatch(media_type) or contradicts(content[:HEAD_BYTES], media_type):
        headers["Content-Disposition"] = "attachment"
    return Response(content, headers=headers | _HARMLESS)


def _sent_resource(request: Request, text: bytes, read_json: Callable[[bytes], Json]) -> Json | None:
    """Return the Binary that the body is, None if the body is the content of one.

    What is sent as FHIR must be readable as FHIR; what is sent as plain JSON or XML need not.
    """
    content_type = request.headers.get("content-type", "")
    is_fhir = "fhir" in split(content_type)[0]
    try:
        found = read_json(text if body_format(content_type) == "json" else dumps(from_xml(text)))
    except (MalformedJSONError, MalformedXMLError, NestedTooDeeplyError, UnsupportedMediaTypeError):
        if is_fhir:
            raise
        return None
    kind = found.get("resourceType") if isinstance(found, dict) else None
    return found if kind == TYPE or (is_fhir and kind is None) else None


def _made(request: Request, content: bytes, base_url: str) -> JsonObject:
    content_type = " ".join(request.headers.get("content-type", "").split())
    if not _MEDIA_TYPE.fullmatch(content_type):
        raise UnsupportedMediaTypeError(f"The content type `{content_type[:80]}` is not a media type")
    resource: JsonObject = {"resourceType": TYPE, "contentType": content_type}
    context = request.headers.get(_CONTEXT)
    if context:
        resource["securityContext"] = {"reference": context.removeprefix(f"{base_url}/")}
    if content:
        resource["data"] = b64encode(content).decode()
    return resource


def _content_of(resource: JsonObject) -> bytes:
    """Return the content of a Binary; raises NotAcceptableError where what was stored unchecked is none."""
    try:
        return b64decode(resource.get("data", ""))
    except (TypeError, ValueError) as error:
        raise NotAcceptableError(
            "The data is not base64; FHIR can show it", expression="Binary.data"
        ) from error


def _context_of(resource: JsonObject) -> str:
    """Return the reference to the resource that stands for a Binary in questions of access, or nothing."""
    context = resource.get("securityContext")
    reference = context.get("reference") if isinstance(context, dict) else None
    return reference if isinstance(reference, str) else ""


def _check_context(server: Server, transaction: Transaction, resource: JsonObject) -> None:
    """Raise NotFoundError if the requester may not read the security context of a Binary.

    It is asked for only where the policy restricts its type; a context on another server says nothing here.
    """
    found = _REFERENCE.fullmatch(_context_of(resource).removeprefix(f"{server.base_url}/"))
    if found is None or found[1] not in TYPE_NUMBER:
        return
    if server.repository.readable_rows(transaction, (found[1],), "r").text == "true":
        return
    try:
        server.repository.read(transaction, found[1], found[2])
    except NotFoundError as error:
        raise NotFoundError(f"`{TYPE}/{resource['id']}` does not exist") from error
