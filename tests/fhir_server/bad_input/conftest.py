"""The API on a database that holds one Patient, `Patient/p1`; shared by the tests of a module."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from hie import app, wiring
from hie.core.fhir.json import dumps
from hie.core.settings import Settings
from tests.fhir_server.bad_input.api import LARGEST_BODY, PATIENT, TABLES, Client, Rows
from tests.fhir_server.clients.serving import served


@pytest.fixture(scope="module")
def client(shared_database_url: str) -> Iterator[Client]:
    """The whole application, as it is served."""
    settings = Settings(max_body_bytes=LARGEST_BODY)
    with (
        wiring.build(settings, database_url=shared_database_url) as exchange,
        Client(app.build(exchange)) as opened,
    ):
        created = opened.put("/fhir/Patient/p1", dumps(PATIENT))
        assert created.status_code == 201
        yield opened


@pytest.fixture(scope="module")
def rows(shared_database_url: str) -> Iterator[Rows]:
    """Count the rows of every table that a write touches."""
    with psycopg.connect(shared_database_url, autocommit=True) as connection:

        def count() -> dict[str, int]:
            return {
                name: connection.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
                ).fetchall()[0][0]
                for name in TABLES
            }

        yield count


@pytest.fixture(scope="module")
def base_url(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The FHIR base URL of `hie serve`."""
    with served(server_url, template, tmp_path_factory.mktemp("served")) as url:
        yield url
