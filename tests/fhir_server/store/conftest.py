"""The repository as production composes it, on the fresh database of a test."""

from collections.abc import Callable

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from fhir_server.service import Repository
from fhir_server.tables import INDEX_TABLES
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.access import Permissive
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.ports import TransactionResult
from hie.core.settings import Settings, ValidationLevel

SETTINGS = Settings(max_body_bytes=100_000)
INDEXER = Indexer(SETTINGS.base_url, SETTINGS.zone)
VALIDATOR = ResourceValidator(StructureValidator())


SEARCH = SearchService(SETTINGS)


@pytest.fixture
def repository() -> Repository:
    return Repository(
        validator=VALIDATOR,
        validation=ValidationLevel.STRUCTURE,
        indexer=INDEXER,
        search=SEARCH,
        access=Permissive(),
        clock=SystemClock(),
    )


Transact = Callable[..., list[TransactionResult]]


@pytest.fixture
def transact(database: Database, repository: Repository) -> Transact:
    """Apply Bundles in a transaction of their own."""

    def run(*bundles: JsonObject) -> list[TransactionResult]:
        with database.transaction() as transaction:
            return repository.transact(transaction, bundles)

    return run


@pytest.fixture
def count_rows(database: Database) -> Callable[[], dict[str, int]]:
    """Count the rows of every table that a write touches."""
    tables = ("resource", "resource_history", "outbox", *(table.name for table in INDEX_TABLES))

    def count() -> dict[str, int]:
        with database.transaction() as transaction:
            counts = {
                name: transaction.connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - names of our tables
                for name in tables
            }
        return {name: row[0] for name, row in counts.items() if row is not None}

    return count
