"""How an interaction becomes a route: one of Starlette, its endpoint run in a thread.

FastAPI works out for each request what an endpoint takes, which costs as much as all else of a read
(1,900 to 2,600 reads a second against 3,400 to 5,100; two processes and their load on two cores), and
anyio's cancel scopes and limits around a thread 52 µs, where `hie.core.web.threads` takes 5 to 18.
FHIR needs neither: an endpoint takes the request, the segments of its path by name and, where the route
reads one, the body; who makes the application has as many threads as there are connections. What a route
says of itself is in its name (`fhir_server.capability`, `fhir_server.openapi`).
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from fhir_server.interactions.allowed import OPTIONS, allowed_methods
from hie.core.web.threads import THREADS

READ: Final = ("GET", "HEAD")

Endpoint = Callable[..., Response]
"""Takes the request, and by keyword the segments of the path and the `body`."""
_Endpoint = TypeVar("_Endpoint", bound=Endpoint)
_Body = TypeVar("_Body")
# Where a request's scope keeps the route that answers.
_CHOSEN: Final = "hie.route"


def interaction(
    router: APIRouter,
    path: str,
    *,
    name: str,
    methods: Sequence[str] = READ,
    body: Callable[[Request], Awaitable[_Body]] | None = None,
    is_shown: bool = True,
) -> Callable[[_Endpoint], _Endpoint]:
    """Return a decorator that adds its endpoint to `router`, at `path` below the router's prefix.

    `body` reads what the endpoint gets as `body`, outside of the thread. Unless `is_shown`, the route is
    not in the OpenAPI document.
    """

    def add(endpoint: _Endpoint) -> _Endpoint:
        router.routes.append(
            Route(
                router.prefix + path,
                _Answering(endpoint, body),
                methods=list(methods),
                name=name,
                include_in_schema=is_shown,
            )
        )
        return endpoint

    return add


class _Answering:
    """An endpoint as an ASGI application.

    Of a function Starlette makes one that catches errors too, as the application does around it: 15 µs.
    """

    def __init__(self, endpoint: Endpoint, body: Callable[[Request], Awaitable[object]] | None) -> None:
        self._endpoint = endpoint
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        call = partial(self._endpoint, request, **scope["path_params"])
        if self._body is not None:
            call = partial(call, body=await self._body(request))
        # With the context of this request, which has its audit trail.
        response = await THREADS.run(call)
        await response(scope, receive, send)


class Table(BaseRoute):
    """Routes as one, asked only when method and number of segments are theirs, and the path is below theirs.

    Forty of them, one after the other, cost a create 45 µs; of FastAPI's, 150. Their order is kept. A
    method that no route takes for a path is answered here, since the methods of a path are those of all its
    routes: OPTIONS with them, any other with 405.
    """

    def __init__(self, routes: Sequence[BaseRoute], *, below: str = "/", other: str | None = None) -> None:
        """Take the routes, in the order in which they are tried.

        All their paths begin with `below`. What begins with `other` is not theirs, whatever they match.
        """
        self._routes = routes
        self._below = below
        self._other = other
        self._candidates: dict[tuple[str, int], list[BaseRoute]] = {}
        for route in routes:
            if isinstance(route, Route):
                for method in route.methods or ():
                    key = (method, route.path.count("/"))
                    self._candidates.setdefault(key, []).append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the match of the first route that takes `scope`; of none where only the path is theirs."""
        path = scope["path"]
        if scope["type"] != "http" or not path.startswith(self._below):
            return Match.NONE, {}
        if self._other is not None and path.startswith(self._other):
            return Match.NONE, {}
        is_path = False
        likely = self._candidates.get((scope["method"], path.count("/")), ())
        for routes in (likely, self._routes):
            for route in routes:
                match, child = route.matches(scope)
                if match is Match.FULL:
                    return match, {**child, _CHOSEN: route}
                is_path = is_path or match is Match.PARTIAL
        return (Match.PARTIAL, {_CHOSEN: None}) if is_path else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route that `matches` found answer; raises HTTPException where there is no such method."""
        chosen: BaseRoute | None = scope[_CHOSEN]
        if chosen is not None:
            await chosen.handle(scope, receive, send)
            return
        methods = allowed_methods(self._routes, scope)
        if not methods:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        headers = {"Allow": ", ".join(methods)}
        if scope["method"] != OPTIONS:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers=headers)
        await Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)(scope, receive, send)
