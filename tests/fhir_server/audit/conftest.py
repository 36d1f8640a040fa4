"""A server whose interactions are recorded, and what the trail says of them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hie import app, wiring
from hie.core.audit.queries import Wanted, read
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.audit.client import Client

Records = Callable[[], Sequence[JsonObject]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None, var_dir=tmp_path / "var", audit_folder=tmp_path / "var" / "audit", audit_site="web-1"
    )


@pytest.fixture
def exchange(database_url: str, settings: Settings) -> Iterator[wiring.Exchange]:
    with wiring.build(settings, database_url=database_url) as built:
        yield built


@pytest.fixture
def client(exchange: wiring.Exchange) -> Iterator[Client]:
    with Client(app.build(exchange)) as opened:
        yield opened


@pytest.fixture
def records(exchange: wiring.Exchange) -> Records:
    """Chain what waits; return all records of the trail in their order, those seen before left out."""
    seen: list[Any] = []

    def chained() -> Sequence[JsonObject]:
        exchange.auditing.collector.run()
        with exchange.database.transaction() as transaction:
            found = read(transaction, Wanted(), limit=10_000, is_descending=False)
        new = [each.body for each in sorted(found, key=lambda each: each.seq) if each.seq not in seen]
        seen.extend(each.seq for each in found)
        return new

    return chained
