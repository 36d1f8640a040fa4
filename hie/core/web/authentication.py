"""The ASGI middleware that lets in who is known: `request.state.requester` says who sends a request.

Nobody known gets 401 with WWW-Authenticate (https://www.rfc-editor.org/rfc/rfc6750#section-3) and an
OperationOutcome, a browser that asks for a page is led to sign in. Paths that are for everybody are listed
by whoever builds the application; no other is open by oversight. What a known requester may do is not
decided here.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hie.core.access import ANONYMOUS, Requester
from hie.core.errors import ExchangeError, RequestError, operation_outcome
from hie.core.ports import Authenticator
from hie.core.security_errors import UnauthenticatedError
from hie.core.web.errors import outcome_response
from hie.core.web.threads import THREADS

_SAFE: Final = ("GET", "HEAD")
_REALM: Final = "hie"


def requester_of(request: Request) -> Requester:
    """Return who sends `request`; nobody known where authentication is off."""
    requester: Requester = getattr(request.state, "requester", ANONYMOUS)
    return requester


class AuthenticationMiddleware:
    """Passes requests on to `app` with their requester, and answers those of nobody known itself."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        *,
        everybodys: Iterable[str],
        programs: str,
        sign_in: str,
        is_open: Callable[[Scope], bool] = lambda _: False,
    ) -> None:
        """Take the paths that are for everybody, and the one below which programs are answered.

        A path of `everybodys` that ends with a slash stands for all below it. Forms of other sites cannot
        make a program's request: below the path `programs` a session counts for GET and HEAD alone.
        `sign_in` is the address of the page that browsers are led to. `is_open` says of a single request
        that it needs nobody known.
        """
        self._app = app
        self._authenticator = authenticator
        self._paths = frozenset(each for each in everybodys if not each.endswith("/"))
        self._folders = tuple(each for each in everybodys if each.endswith("/"))
        self._programs = programs
        self._sign_in = sign_in
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            # a websocket is bound by a token that was got with a request
            await self._app(scope, receive, send)
            return
        try:
            requester = await self._requester(scope)
        except ExchangeError as error:
            await self._refuse(Request(scope), error)(scope, receive, send)
            return
        if requester is ANONYMOUS and not self._is_everybodys(scope["path"]) and not self._is_open(scope):
            unknown = UnauthenticatedError("The request needs an access token")
            await self._refuse(Request(scope), unknown)(scope, receive, send)
            return
        scope.setdefault("state", {})["requester"] = requester
        await self._app(scope, receive, send)

    async def _requester(self, scope: Scope) -> Requester:
        headers: Mapping[str, str] = Headers(scope=scope)
        if self._is_everybodys(scope["path"]):
            # An OAuth client's own credentials stand in the same header; here they are not looked at.
            headers = {"cookie": headers.get("cookie", "")}
        elif sum(name == b"authorization" for name, _ in scope["headers"]) > 1:
            raise RequestError("The request has more than one Authorization header")
        known = self._authenticator.recall(headers)
        if known is not None:
            return known
        is_page = not scope["path"].startswith(self._programs)
        ask = partial(
            self._authenticator.authenticate, headers, with_session=is_page or scope["method"] in _SAFE
        )
        return await THREADS.run(ask)

    def _is_everybodys(self, path: str) -> bool:
        return path in self._paths or path.startswith(self._folders)

    def _refuse(self, request: Request, error: ExchangeError) -> Response:
        is_browser = (
            "text/html" in request.headers.get("accept", "") and "authorization" not in request.headers
        )
        if is_browser and request.method in _SAFE and isinstance(error, UnauthenticatedError):
            query = f"?{request.url.query}" if request.url.query else ""
            back = quote(f"{request.url.path}{query}", safe="/")
            return RedirectResponse(f"{self._sign_in}?back={back}", HTTPStatus.SEE_OTHER)
        response = outcome_response(request, operation_outcome(error), error.status)
        if isinstance(error, UnauthenticatedError):
            response.headers["WWW-Authenticate"] = error.challenge(_REALM)
        response.headers["Cache-Control"] = "no-store"
        return response
