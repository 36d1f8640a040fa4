"""The whole application, as it is served, on the fresh database of a test."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from fhir_server.router import build_router
from hie import app, wiring
from hie.core.settings import Settings
from hie.core.web import errors
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.operations.ports import SmallMatcher, SmallTerminology


@pytest.fixture
def exchange(database_url: str) -> Iterator[wiring.Exchange]:
    """The parts of one process."""
    with wiring.build(Settings(), database_url=database_url) as opened:
        yield opened


@pytest.fixture
def client(exchange: wiring.Exchange) -> Client:
    """A client whose requests are relative to the FHIR base."""
    return Client(app.build(exchange))


@pytest.fixture
def with_ports(exchange: wiring.Exchange) -> Client:
    """A client of a server that has every port that operations ask for."""
    api = FastAPI()
    errors.install(api)
    router = build_router(
        exchange.repository,
        exchange.database,
        exchange.settings,
        terminology=SmallTerminology(),
        translator=exchange.translator,
        matcher=SmallMatcher(exchange.repository),
        deidentification=exchange.privacy.exports,
        erasure=exchange.erasure,
    )
    api.include_router(router)
    return Client(api)
