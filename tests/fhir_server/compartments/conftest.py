"""The whole application, as it is served, on the fresh database of a test."""

from collections.abc import Iterator

import pytest

from hie import app, wiring
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """A client whose requests are relative to the FHIR base."""
    with wiring.build(Settings(), database_url=database_url) as exchange:
        yield Client(app.build(exchange))
