"""The whole application under a policy of the test's choice, on a database with two patients' records."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from hie import app, wiring
from hie.core.access import Permissive
from hie.core.fhir.json import dumps
from hie.core.ports import AccessPolicy
from hie.core.settings import Settings
from tests.fhir_server.access.city import transaction
from tests.fhir_server.bad_input.api import Client

Under = Callable[[AccessPolicy], Client]


@pytest.fixture(scope="module")
def shared_url(server_url: str, template: str) -> Iterator[str]:
    """The URL of a database for the tests of a module that change nothing of what they look at."""
    name = f"hie_test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def sharing(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Under]:
    """Return a client under a policy, made once for each policy; the records are stored before."""
    with ExitStack() as opened:
        serve = _stored(opened, shared_url, tmp_path_factory.mktemp("var"))
        clients: dict[str, Client] = {}

        def client(policy: AccessPolicy) -> Client:
            name = repr(policy)
            if name not in clients:
                clients[name] = serve(policy)
            return clients[name]

        yield client


@pytest.fixture
def under(database_url: str, tmp_path: Path) -> Iterator[Under]:
    """Return a client under a policy, on a database of the test's own; the records are stored before."""
    with ExitStack() as opened:
        yield _stored(opened, database_url, tmp_path)


def _stored(opened: ExitStack, database_url: str, var_dir: Path) -> Under:
    settings = Settings(var_dir=var_dir)

    def serve(policy: AccessPolicy) -> Client:
        exchange = opened.enter_context(wiring.build(settings, database_url=database_url, access=policy))
        return opened.enter_context(Client(app.build(exchange)))

    stored = serve(Permissive()).post("/fhir", dumps(transaction()))
    assert stored.status_code == 200, stored.text
    return serve
