"""The API on a fresh database, shared by the tests of a module."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from hie import app, wiring
from hie.core.settings import Settings
from hie.wiring import Exchange
from tests.fhir_server.bad_input.api import Client


@pytest.fixture(scope="module")
def exchange(server_url: str, template: str) -> Iterator[Exchange]:
    """The parts of a server, on a database of the module's own."""
    name = f"hie_test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    settings = Settings(graphql_depth=8, graphql_fields=200, graphql_values=2_000, graphql_searches=10)
    with wiring.build(settings, database_url=url) as built:
        yield built
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def client(exchange: Exchange) -> Iterator[Client]:
    """The whole application on `exchange`."""
    with Client(app.build(exchange)) as opened:
        yield opened
