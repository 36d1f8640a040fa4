"""A server with subscriptions and an endpoint on the fresh database of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hie import app, wiring
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.subscriptions.receiver import Receiver
from tests.fhir_server.subscriptions.server import Subscribed


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint that listens."""
    with Receiver() as listening:
        yield listening


@pytest.fixture
def server(database_url: str, receiver: Receiver, tmp_path: Path) -> Iterator[Subscribed]:
    """A server that may call the receiver, and gives up after three attempts."""
    settings = Settings(
        var_dir=tmp_path,
        subscription_endpoints=(f"http://127.0.0.1:{receiver.port}/",),
        subscription_attempts=3,
        subscription_retry_seconds=600,
        subscription_timeout_seconds=5,
    )
    with wiring.build(settings, database_url=database_url) as exchange:
        yield Subscribed(exchange, Client(app.build(exchange)))
