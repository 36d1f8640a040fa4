"""The repository with its FHIR API on the fresh database of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from fhir_server.bulk.export import KIND, Export
from fhir_server.index.indexer import Indexer
from fhir_server.router import build_router
from hie import wiring
from hie.core.settings import Settings
from hie.core.web import errors
from hie.core.web.compression import CompressionMiddleware
from tests.fhir_server.bulk.server import Bulk
from tests.fhir_server.interactions.client import Client


@pytest.fixture
def bulk(database_url: str, tmp_path: Path) -> Iterator[Bulk]:
    """A server whose export files have at most three resources, and whose imports read `in`."""
    settings = Settings(
        job_folder=tmp_path / "jobs", import_sources=(f"file://{tmp_path}/in/",), import_body_bytes=200_000
    )
    with wiring.build(settings, database_url=database_url) as exchange:
        app = FastAPI()
        app.add_middleware(CompressionMiddleware)
        errors.install(app)
        app.include_router(build_router(exchange.repository, exchange.database, settings))
        indexer = Indexer(settings.base_url, settings.zone)
        small = Export(
            exchange.repository, indexer, exchange.clock, base_url=settings.base_url, file_resources=3
        )
        yield Bulk(exchange, Client(app), tmp_path, {KIND: small})
