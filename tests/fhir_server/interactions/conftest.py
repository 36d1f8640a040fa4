"""The FHIR API on the fresh database of a test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fastapi import FastAPI

from fhir_server.index.indexer import Indexer
from fhir_server.router import build_router
from fhir_server.search.service import SearchService
from fhir_server.service import Repository
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie import wiring
from hie.app import build as build_app
from hie.core.access import Permissive
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.settings import Settings, ValidationLevel
from hie.core.web import errors
from tests.fhir_server.interactions.client import Client

SETTINGS = Settings(max_body_bytes=100_000, max_bundle_entries=50, max_nesting=64, conditional_delete_limit=5)
INDEXER = Indexer(SETTINGS.base_url, SETTINGS.zone)
VALIDATOR = ResourceValidator(StructureValidator())


SEARCH = SearchService(SETTINGS)


@pytest.fixture
def client(database: Database) -> Client:
    """A client whose requests are relative to the FHIR base."""
    repository = Repository(
        validator=VALIDATOR,
        validation=ValidationLevel.STRUCTURE,
        indexer=INDEXER,
        search=SEARCH,
        access=Permissive(),
        clock=SystemClock(),
        delete_limit=SETTINGS.conditional_delete_limit,
    )
    app = FastAPI()
    errors.install(app)
    app.include_router(build_router(repository, database, SETTINGS))
    return Client(app)


Whole = Callable[[Settings], Client]


@pytest.fixture
def whole_with(database_url: str) -> Iterator[Whole]:
    """Makes clients of the whole application, with middleware, at other settings."""
    with ExitStack() as open_exchanges:

        def make(settings: Settings) -> Client:
            exchange = open_exchanges.enter_context(wiring.build(settings, database_url=database_url))
            return Client(build_app(exchange))

        yield make


@pytest.fixture
def whole(whole_with: Whole) -> Client:
    """A client of the whole application, with middleware, at the settings' defaults."""
    return whole_with(Settings())


@pytest.fixture
def count_rows(database: Database) -> Callable[[], tuple[int, ...]]:
    """Count resources, superseded versions, token rows and events."""

    def count() -> tuple[int, ...]:
        with database.transaction() as transaction:
            row = transaction.connection.execute(
                "SELECT (SELECT count(*) FROM resource), (SELECT count(*) FROM resource_history),"
                " (SELECT count(*) FROM ix_token), (SELECT count(*) FROM outbox)"
            ).fetchone()
        assert row is not None
        return row

    return count
