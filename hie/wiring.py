"""The composition root: the only module that knows every concrete class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Self

from sqlalchemy import MetaData
from sqlmodel import SQLModel

from fhir_server.service import Repository
from fhir_server.validation.level import ResourceValidator
from hie.core import outbox
from hie.core.clock import Clock, SystemClock
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.outbox import Handler
from hie.core.ports import DailyCountSink, Translator
from hie.core.settings import Settings
from hl7_gateway.convert.engine import Engine
from terminology.translation import ConceptMaps


@dataclass
class Exchange:
    """One process's parts, put together. Close it when the process ends."""

    settings: Settings
    clock: Clock
    database_url: str
    database: Database
    repository: Repository
    translator: Translator
    daily_counts: DailyCountSink
    handlers: Mapping[str, Sequence[Handler]]

    @cached_property
    def engine(self) -> Engine:
        """The conversion engine; its maps are compiled on first use."""
        return Engine(self.translator)

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
