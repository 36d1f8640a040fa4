"""How an interaction becomes a route: one of Starlette, its endpoint run in a thread.

FastAPI works out for each request what an endpoint takes, which costs as much as all else of a read
(1,900 to 2,600 reads a second against 3,400 to 5,100; two processes and their load on two cores), and
anyio's cancel scopes and limits around a thread 52 µs, where the executor of the event loop takes 19.
FHIR needs neither: an endpoint takes the request, the segments of its path by name and, where the route
reads one, the body; who makes the application gives the event loop as many threads as there are
connections. What a route says of itself is in its name (`fhir_server.capability`, `fhir_server.openapi`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

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
        async def answer(request: Request) -> Response:
            return await _in_thread(partial(endpoint, request, **request.path_params))

        async def answer_with_body(request: Request) -> Response:
            given = await body(request) if body is not None else None
            return await _in_thread(partial(endpoint, request, body=given, **request.path_params))

        router.routes.append(
            Route(
                router.prefix + path,
                answer if body is None else answer_with_body,
                methods=list(methods),
                name=name,
                include_in_schema=is_shown,
            )
        )
        return endpoint

    return add


class Table(BaseRoute):
    """Routes as one, asked only when method and number of segments are theirs.

    Forty of them, one after the other, cost a create 45 µs. Their order is kept; what none takes is asked of
    all, so that a method that is not allowed is answered as ever.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        """Take the routes, in the order in which they are tried."""
        self._routes = routes
        self._candidates: dict[tuple[str, int], list[BaseRoute]] = {}
        for route in routes:
            if isinstance(route, Route):
                for method in route.methods or ():
                    key = (method, route.path.count("/"))
                    self._candidates.setdefault(key, []).append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the match of the first route that takes `scope`, else of the first that takes its path."""
        if scope["type"] != "http":
            return Match.NONE, {}
        partial_match: tuple[Match, Scope] = (Match.NONE, {})
        likely = self._candidates.get((scope["method"], scope["path"].count("/")), ())
        for routes in (likely, self._routes):
            for route in routes:
                match, child = route.matches(scope)
                if match is Match.FULL:
                    return match, {**child, _CHOSEN: route}
                if match is Match.PARTIAL and partial_match[0] is Match.NONE:
                    partial_match = match, {**child, _CHOSEN: route}
        return partial_match

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route that `matches` found answer."""
        chosen: BaseRoute = scope[_CHOSEN]
        await chosen.handle(scope, receive, send)


async def _in_thread(call: Callable[[], Response]) -> Response:
    return await asyncio.get_running_loop().run_in_executor(None, call)
