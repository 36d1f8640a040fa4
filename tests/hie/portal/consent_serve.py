"""The application of the browser tests of consents, under the policy, for whom the cookie `as` names."""

from http.cookies import SimpleCookie
from pathlib import Path
from tempfile import mkdtemp

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from hie import app, wiring
from hie.core.access import ANONYMOUS, Requester, Role
from hie.core.clock import SystemClock
from hie.core.settings import Settings
from tests.hie.policy.city import CITIZEN, STRANGER, person

READERS: dict[str, Requester] = {
    "citizen": CITIZEN,
    "doctor": STRANGER,
    "officer": person(Role.SECURITY_OFFICER, id="a-9"),
}


class ByCookie:
    """Says who sends each request, as a session does."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            kept = SimpleCookie(Headers(scope=scope).get("cookie", "")).get("as")
            who = READERS.get(kept.value, ANONYMOUS) if kept is not None else ANONYMOUS
            scope.setdefault("state", {})["requester"] = who
        await self._inner(scope, receive, send)


def create() -> FastAPI:
    """Return the application on HIE_DATABASE_URL."""
    folder = Path(mkdtemp())
    settings = Settings(var_dir=folder, audit_folder=folder / "audit")
    exchange = wiring.build(settings, access=wiring.policy(settings, SystemClock()))
    built = app.build(exchange)
    built.add_middleware(ByCookie)
    return built
