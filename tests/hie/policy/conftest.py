"""The whole application under the real policy, for a requester of the test's choice."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from hie import app, wiring
from hie.core.access import SYSTEM, Requester
from hie.core.clock import SystemClock
from hie.core.fhir.json import dumps
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.fhir_server.bad_input.api import Client
from tests.hie.policy.city import city

As = Callable[[Requester], Client]


class Known:
    """Says who sends each request, as authentication does."""

    def __init__(self, inner: ASGIApp, requester: Requester) -> None:
        self._inner = inner
        self._requester = requester

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope.setdefault("state", {})["requester"] = self._requester
        await self._inner(scope, receive, send)


def serving(opened: ExitStack, database_url: str, folder: Path, **settings: object) -> As:
    """Return a client for each requester, on a database that holds the city."""
    clients: dict[Requester, Client] = {}
    exchange = None

    def client(requester: Requester) -> Client:
        nonlocal exchange
        if exchange is None:
            given = Settings(var_dir=folder, **settings)  # type: ignore[arg-type] # whatever the settings take
            policy = wiring.policy(given, SystemClock())
            exchange = opened.enter_context(wiring.build(given, database_url=database_url, access=policy))
        if requester not in clients:
            built = app.build(exchange)
            built.add_middleware(Known, requester=requester)
            clients[requester] = opened.enter_context(Client(built))
        return clients[requester]

    stored = client(SYSTEM).post("/fhir", dumps(city()))
    assert stored.status_code == 200, stored.text
    return client


@pytest.fixture
def acting(database_url: str, tmp_path: Path) -> Iterator[As]:
    """A client for each requester, on a database of the test's own."""
    with ExitStack() as opened:
        yield serving(opened, database_url, tmp_path)


@pytest.fixture(scope="module")
def looking_url(server_url: str, template: str) -> Iterator[str]:
    """The URL of the database that `looking` is on."""
    with fresh_database(server_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def looking(looking_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[As]:
    """A client for each requester, for the tests of a module that change nothing of what they look at."""
    with ExitStack() as opened:
        yield serving(opened, looking_url, tmp_path_factory.mktemp("var"))
