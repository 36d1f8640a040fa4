"""The gateway as production composes it, on the fresh database of a test."""

from collections.abc import Callable, Iterator

import pytest

from hie import conversion, wiring
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.settings import Settings
from hie.wiring import Exchange
from hl7_gateway.convert.engine import Engine
from hl7_gateway.conveyor import Received
from hl7_gateway.pipeline import Pipeline

CLOCK = SystemClock()


@pytest.fixture(scope="session")
def engine() -> Engine:
    return conversion.engine()


@pytest.fixture
def exchange(database_url: str) -> Iterator[Exchange]:
    with wiring.build(Settings(_env_file=None), database_url=database_url) as built:
        yield built


MakePipeline = Callable[..., Pipeline]


@pytest.fixture
def make_pipeline(database: Database, exchange: Exchange, engine: Engine) -> MakePipeline:
    def make(
        settings: Settings | None = None, *, on: Database | None = None, patience_seconds: float = 10.0
    ) -> Pipeline:
        return Pipeline(
            settings or exchange.settings,
            database=on or database,
            store=exchange.repository,
            engine=engine,
            clock=exchange.clock,
            patience_seconds=patience_seconds,
        )

    return make


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    return make_pipeline()


Process = Callable[..., list[bytes]]


@pytest.fixture
def process(pipeline: Pipeline) -> Process:
    """Carry out messages as one batch."""

    def run(*messages: bytes) -> list[bytes]:
        return pipeline.process([Received(message, CLOCK.now()) for message in messages])

    return run
