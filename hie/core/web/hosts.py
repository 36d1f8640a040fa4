"""The ASGI middleware that answers only for the names that this server has.

A page of another site may make its own name resolve to a loopback address; the browser then sends that
name as Host (DNS rebinding). Others than the allowed names, none and several get 400 and an OperationOutcome.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hie.core.errors import RequestError, operation_outcome
from hie.core.web.errors import outcome_response


class HostMiddleware:
    """Passes requests on to `app` if their Host is one of `names`, whatever the port."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        """Take the application and host names in lower case, IPv6 addresses in brackets."""
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan" or self._is_allowed(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # the server answers the handshake with 403
        else:
            error = RequestError("The Host header names another server")
            response = outcome_response(Request(scope), operation_outcome(error), error.status)
            await response(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        given = Headers(scope=scope).getlist("host")
        if len(given) != 1:  # RFC 9112, 3.2: of several, who stands before us may have believed another
            return False
        host = given[0].lower()
        name, _, port = host.rpartition(":")
        return (name if name and port.isdigit() else host) in self._names
