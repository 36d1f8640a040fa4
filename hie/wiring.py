"""The composition root: the only module that knows every concrete class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Self

from sqlalchemy import MetaData
from sqlmodel import SQLModel

import analytics.tables
import booking.tables
import fhir_server.tables
import hie.core.outbox
import hie.simulator.tables
import hl7_gateway.tables
from analytics.counts import DailyCounts
from analytics.refresh import TOPIC, CaseRefresh
from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from fhir_server.service import Repository
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.clock import Clock, SystemClock
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.outbox import Handler
from hie.core.ports import DailyCountSink
from hie.core.settings import Settings
from hl7_gateway.convert.engine import Engine
from hl7_gateway.convert.supported import resource_types
from hl7_gateway.server import Gateway
from terminology.translation import ConceptMaps

# Importing them is what fills the metadata.
_WITH_TABLES = (
    analytics.tables,
    booking.tables,
    fhir_server.tables,
    hie.core.outbox,
    hie.simulator.tables,
    hl7_gateway.tables,
)


@dataclass
class Exchange:
    """One process's parts, put together. Close it when the process ends."""

    settings: Settings
    clock: Clock
    database_url: str
    database: Database
    repository: Repository
    structure: StructureValidator
    daily_counts: DailyCountSink
    handlers: Mapping[str, Sequence[Handler]]

    @cached_property
    def engine(self) -> Engine:
        """The conversion engine; its maps are compiled on first use."""
        return engine()

    def gateway(self) -> Gateway:
        """Return a gateway process, not yet listening, with what the first message needs loaded."""
        self.structure.prepare(resource_types())
        return Gateway(
            self.settings,
            database=self.database,
            store=self.repository,
            engine=self.engine,
            clock=self.clock,
        )

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def __enter__(self) -> Self:
        """Return the exchange itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()


def build(settings: Settings, *, database_url: str | None = None, clock: Clock | None = None) -> Exchange:
    """Return the parts of one process; the embedded database is started if no URL is set."""
    clock = clock or SystemClock()
    url = database_url or url_of(settings)
    database = Database.from_url(
        url,
        pool_size=settings.database_pool,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
    structure = StructureValidator()
    repository = Repository(
        validator=ResourceValidator(structure),
        validation=settings.validation,
        indexer=Indexer(settings.base_url, settings.zone),
        search=SearchService(settings),
        clock=clock,
    )
    return Exchange(
        settings=settings,
        clock=clock,
        database_url=url,
        database=database,
        repository=repository,
        structure=structure,
        daily_counts=DailyCounts(),
        handlers={TOPIC: (CaseRefresh(repository, settings.zone),)},
    )


def engine() -> Engine:
    """Return a conversion engine with its maps compiled; it needs no database."""
    return Engine(ConceptMaps())


def url_of(settings: Settings) -> str:
    """Return the database URL of the setting, or of the embedded server, which is started if need be."""
    if settings.database_url:
        return settings.database_url
    return embedded.url(embedded.start(settings.var_dir / "postgres"))


def schema() -> MetaData:
    """Return the tables of every feature."""
    return SQLModel.metadata
