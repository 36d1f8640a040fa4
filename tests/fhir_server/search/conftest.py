"""A search service over a real database, and the indexer that fits it."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from hie.core.db.database import Database
from hie.core.settings import Settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class FixedClock:
    """A clock that stands."""

    def now(self) -> datetime:
        """Return the same moment always."""
        return NOW


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        _env_file=None, base_url="http://hie.example/fhir", time_zone="Asia/Shanghai", full_text=True
    )


@pytest.fixture(scope="session")
def indexer(settings: Settings) -> Indexer:
    return Indexer(settings.base_url, settings.zone)


@pytest.fixture(scope="session")
def service(settings: Settings) -> SearchService:
    return SearchService(settings, clock=FixedClock())


@pytest.fixture(scope="module")
def module_database(server_url: str, template: str) -> Iterator[Database]:
    """A fresh database that the tests of one module share, because they only read it."""
    name = "hie_test_" + uuid.uuid4().hex
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with Database.from_url(url, pool_size=4) as opened:
        yield opened
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
