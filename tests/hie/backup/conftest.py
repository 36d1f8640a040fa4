"""Servers of PostgreSQL 18 (embedded) and 15 (Debian's, where it is installed), with some tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hie.core.db import embedded
from tests.hie.backup.servers import Place, place

DEBIAN = Path("/usr/lib/postgresql/15/bin")

TABLES = """
CREATE TABLE visit (id bigint PRIMARY KEY, text text, at timestamptz);
INSERT INTO visit SELECT i, repeat(md5(i::text), 4), now() FROM generate_series(1, 20000) AS i;
CREATE TABLE large (body bytea);
INSERT INTO large SELECT decode(repeat(md5(i::text), 20000), 'hex') FROM generate_series(1, 8) AS i
"""


@pytest.fixture(params=[18, pytest.param(15, marks=pytest.mark.full)])
def here(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A new folder, for both versions."""
    major: int = request.param
    programs = embedded.programs() if major == 18 else DEBIAN
    if not (programs / "postgres").exists():
        pytest.skip("PostgreSQL 15 of Debian is not installed")
    with place(programs, major) as made:
        yield made


@pytest.fixture
def newest() -> Iterator[Place]:
    """A new folder, for the embedded server's version."""
    with place(embedded.programs(), 18) as made:
        yield made
