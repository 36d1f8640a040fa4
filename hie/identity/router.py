"""The endpoints of the authorization server that programs call; the pages are the portal's.

/oauth/token, /oauth/revoke, /oauth/introspect, /oauth/userinfo, /oauth/jwks and the two discovery documents.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from hie.core.access import ANONYMOUS, Requester
from hie.core.security_errors import UnauthenticatedError
from hie.core.web.media_types import split
from hie.identity import discovery
from hie.identity.oauth_request import FORM, LARGEST_FORM, read_parameters
from hie.identity.server import Answer
from hie.identity.service import Identity

_CACHED: Final = {"Cache-Control": "public, max-age=300"}
# A browser app of any site may discover, and use its own tokens; no cookie goes with such a request.
_OPEN: Final = {"Access-Control-Allow-Origin": "*"}
_Endpoint = Callable[[Mapping[str, str], Mapping[str, str]], Answer]


def build_router(identity: Identity) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    for path, endpoint in (
        ("/oauth/token", identity.token),
        ("/oauth/revoke", identity.revoke),
        ("/oauth/introspect", identity.introspect),
    ):
        router.post(path)(_posted(identity, endpoint))
    _add_documents(router, identity)

    @router.get("/oauth/userinfo")
    @router.post("/oauth/userinfo")
    def user_info(request: Request) -> Response:
        requester: Requester = getattr(request.state, "requester", ANONYMOUS)
        try:
            return JSONResponse(identity.user_info(requester), headers={"Cache-Control": "no-store"})
        except UnauthenticatedError as error:
            challenge = {"WWW-Authenticate": error.challenge("hie")}
            return JSONResponse({"error": error.error}, HTTPStatus.UNAUTHORIZED, challenge)

    return router


def _posted(identity: Identity, endpoint: _Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            parameters = await read_form(request)
        except OAuth2Error as error:
            return _response(identity.refuse(error))
        return _response(await run_in_threadpool(endpoint, request.headers, parameters))

    return answer


def _add_documents(router: APIRouter, identity: Identity) -> None:
    @router.get("/oauth/jwks")
    def jwks() -> Response:
        return JSONResponse(identity.keys.published(), headers={**_CACHED, **_OPEN})

    @router.get("/.well-known/openid-configuration")
    @router.get("/.well-known/oauth-authorization-server")
    def openid_configuration() -> Response:
        return JSONResponse(discovery.openid_configuration(identity.terms), headers={**_CACHED, **_OPEN})

    @router.get("/fhir/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        return JSONResponse(discovery.smart_configuration(identity.terms), headers={**_CACHED, **_OPEN})


async def read_form(request: Request) -> dict[str, str]:
    """Return the parameters of a posted form; raises authlib's InvalidRequestError."""
    if split(request.headers.get("content-type", ""))[0] != FORM:
        raise InvalidRequestError(f"The content type must be {FORM}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise InvalidRequestError("The form is too large.")
    try:
        return read_parameters(body.decode("ascii"))
    except UnicodeDecodeError as error:
        raise InvalidRequestError("The form is not percent-encoded.") from error


def _response(answer: Answer) -> Response:
    return JSONResponse(answer.body, answer.status, {**answer.headers, **_OPEN})
