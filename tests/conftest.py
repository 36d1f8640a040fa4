"""What every test may ask for: a real database, other people's data, the full size."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from sqlalchemy.engine import make_url

from hie.core.clock import SystemClock
from hie.core.crypto.providers import data_keys, text_cipher
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.settings import Settings
from hie.migrations import upgrade
from tests import canary

# Most tests ask as nobody; those of authentication switch it on.
os.environ.setdefault("HIE_AUTH", "off")

ROOT = Path(__file__).resolve().parent.parent
IS_FULL = os.environ.get("HIE_TEST_FULL") == "1"

# Two shared cores make single examples slow at random; what they find is not.
settings.register_profile("hie", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("hie")


def pytest_configure(config: pytest.Config) -> None:
    canary.begin(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if IS_FULL:
        return
    skip = pytest.mark.skip(reason="full size: runs under `make test-full`")
    for item in items:
        if "full" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def audit_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the local logs of the audit trail out of `var`, where a worker would take them for its own."""
    os.environ.setdefault("HIE_AUDIT_FOLDER", str(tmp_path_factory.mktemp("audit")))


@pytest.fixture(scope="session", autouse=True)
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the keys of the run, which HIE_ENCRYPTION=on makes, out of `var`."""
    os.environ.setdefault("HIE_KEY_FOLDER", str(tmp_path_factory.mktemp("keys")))


@pytest.fixture(scope="session")
def conformance_data() -> Path:
    """The folder of other people's suites; docs/conformance.md says where each is published."""
    path = Path(os.environ.get("CONFORMANCE_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("CONFORMANCE_DATA is not set and ../shared/data is not there")
    return path


@pytest.fixture(scope="session")
def server_url() -> str:
    """The URL of the maintenance database of the server under test."""
    external = os.environ.get("HIE_TEST_DATABASE_URL")
    if external:
        return external
    server = embedded.start(ROOT / "var" / "test-postgres")
    url = str(server.get_uri(database="postgres"))
    # Tests kill processes, never the machine; and each makes a database, whose pages go through the WAL.
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "wal_compression"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database with the current schema, made once a run and shared by all test processes."""
    name = "hie_template_" + os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(2575)")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            draft = name + "_draft"
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(draft)))
            upgrade(_with_database(server_url, draft))
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name))
            )
        connection.execute("SELECT pg_advisory_unlock(2575)")
    return name


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """The URL of a fresh database with the current schema, dropped after the test."""
    with fresh_database(server_url, template) as url:
        yield url


@pytest.fixture
def plain_bodies() -> None:
    """Skip a test whose SQL looks into bodies where the run encrypts them."""
    if Settings().encryption == "on":
        pytest.skip("HIE_ENCRYPTION is on: PostgreSQL cannot look into what is stored")


@pytest.fixture(scope="module")
def shared_database_url(server_url: str, template: str) -> Iterator[str]:
    """The URL of a fresh database of the module's own, for tests that leave no trace in it."""
    with fresh_database(server_url, template) as url:
        yield url


@contextmanager
def fresh_database(server_url: str, template: str) -> Iterator[str]:
    """Make a database like `template`, give its URL, and drop it in the end."""
    name = "hie_test_" + uuid.uuid4().hex
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    yield _with_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database with the current schema."""
    with Database.from_url(database_url, pool_size=8) as opened:
        settings = Settings()
        opened.cipher = text_cipher(settings, data_keys(settings, SystemClock()))
        with opened.transaction() as transaction:
            opened.cipher.prepare(transaction.connection)
        yield opened


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)
