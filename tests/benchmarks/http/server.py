"""What a load is put on: a fresh or kept database of the benchmarks' server, and `hie serve` on it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from hie.core.db import embedded
from hie.migrations import upgrade
from tests.environment import laboratory

FOLDER = Path(__file__).resolve().parents[3] / "var" / "bench"
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    database_url: str
    process: "subprocess.Popen[bytes]"

    def workers(self) -> list[int]:
        """Return the processes that serve."""
        return _workers(self.process.pid)

    def cpu_seconds(self) -> float:
        """Return the processor time of the processes that serve."""
        return sum(_cpu_seconds(pid) for pid in self.workers())

    def memory_megabytes(self) -> list[float]:
        """Return the proportional set size of each process that serves, in MB."""
        return [_pss(pid) for pid in _workers(self.process.pid)]


def maintenance_url() -> str:
    """Return the URL of the maintenance database; the embedded server is started if need be."""
    return embedded.start(FOLDER / "postgres").get_uri(database="postgres")


def database(name: str, *, is_kept: bool = False) -> tuple[str, bool]:
    """Return the URL of the database `name` with the current schema, and whether it is new.

    Unless `is_kept`, one of that name is dropped first.
    """
    server = maintenance_url()
    with psycopg.connect(server, autocommit=True) as connection:
        if not is_kept:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    return url, found is None


def drop(name: str) -> None:
    """Drop the database `name`."""
    with psycopg.connect(maintenance_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def serving(database_url: str, *, processes: int = 2, **settings: str) -> Iterator[Server]:
    """Run `hie serve` with `processes` on `database_url`; `settings` are those of HIE_, in lower case."""
    port = _free_port()
    environment = {
        **laboratory(),
        "HIE_DATABASE_URL": database_url,
        "HIE_PORT": str(port),
        "HIE_WEB_PROCESSES": str(processes),
        "HIE_LOG_LEVEL": "WARNING",
        "HIE_VAR_DIR": str(FOLDER / "serve"),
        **{f"HIE_{name.upper()}": value for name, value in settings.items()},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "hie", "serve"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        _wait(port, process)
        yield Server(port, database_url, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"`hie serve` ended with status {process.returncode}")
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
                answer.read()
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("`hie serve` does not answer")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _workers(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return [int(each) for each in children] or [parent]


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def database_cpu_seconds() -> float:
    """Return the processor time of the PostgreSQL server that the benchmarks share, all its processes."""
    first = (FOLDER / "postgres" / "postmaster.pid").read_text(encoding="ascii").splitlines()[0]
    return sum(_cpu_seconds(pid) for pid in (int(first), *_workers(int(first))))


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of those children of it that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:15]) / os.sysconf("SC_CLK_TCK")
