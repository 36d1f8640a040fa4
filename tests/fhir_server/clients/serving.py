"""A server and a worker as users start them, on a fresh database."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.conftest import ROOT
from tests.environment import laboratory

MOST_SECONDS = 60
# Where `make clients` puts what others made.
INSTALLED = ROOT / "var" / "clients"
_LOGS: dict[str, Path] = {}


@contextmanager
def served(
    server_url: str, template: str, folder: Path, commands: tuple[str, ...] = ("serve",)
) -> Iterator[str]:
    """Run `hie` with each of `commands`, in `folder`; give the FHIR base URL of `hie serve`."""
    name = f"hie_test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = laboratory(
        HIE_DATABASE_URL=make_url(server_url).set(database=name).render_as_string(hide_password=False),
        HIE_PORT=str(port),
        HIE_VAR_DIR=str(folder),
        PYTHONPATH=str(ROOT),
    )
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("ab"))
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "hie", command], env=environment, cwd=folder, stdout=log, stderr=log
            )
            stack.callback(_stop, process)
        _wait(f"http://127.0.0.1:{port}/health", folder / "log")
        _LOGS[f"127.0.0.1:{port}"] = folder / "log"
        yield f"http://127.0.0.1:{port}/fhir"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def last_logged(netloc: str) -> str:
    """Return the end of what the server at `netloc` ("host:port") logged, for the report of a failure."""
    return _LOGS[netloc].read_text("utf-8", "replace")[-6_000:]


def skip_or_fail(reason: str) -> None:
    """Skip the test that cannot run here; CI has everything, and fails."""
    if os.environ.get("HIE_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        try:
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            pytest.fail(f"`hie serve` does not answer: {log.read_text('utf-8')[-2000:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
