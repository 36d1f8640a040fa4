"""`hie serve` when its processes are killed: none is left behind, a dead one is replaced."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import httpx

from tests.environment import clean_environment

_PATIENCE_SECONDS = 60


@contextmanager
def _serving(database_url: str, folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = clean_environment(
        HIE_DATABASE_URL=database_url,
        HIE_PORT=str(port),
        HIE_VAR_DIR=str(folder),
        HIE_WEB_PROCESSES="1",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "hie", "serve"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        _wait(lambda: _answers(port))
        yield process, port
    finally:
        process.kill()
        process.wait()


def test_killed_server_leaves_no_process_behind_that_answers(database_url: str, tmp_path: Path) -> None:
    with _serving(database_url, tmp_path) as (process, port):
        (worker,) = _children(process.pid)
        process.kill()
        process.wait()
        _wait(lambda: not _is_running(worker))
        assert not _answers(port)


def test_killed_process_of_a_server_is_replaced(database_url: str, tmp_path: Path) -> None:
    with _serving(database_url, tmp_path) as (process, port):
        (worker,) = _children(process.pid)
        os.kill(worker, signal.SIGKILL)
        _wait(lambda: not _is_running(worker))
        _wait(lambda: _answers(port))
        assert process.poll() is None


def test_server_asks_who_it_is_unless_it_is_told_not_to(database_url: str, tmp_path: Path) -> None:
    with _serving(database_url, tmp_path) as (_, port):
        server = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{server}/health").json() == {"status": "ok"}
        assert httpx.get(f"{server}/metrics").status_code == 200
        assert httpx.get(f"{server}/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 401
        assert httpx.get(f"{server}/fhir/Patient").status_code == 401
        page = httpx.get(f"{server}/", headers={"Accept": "text/html"}, follow_redirects=True)
        assert (page.status_code, page.url.path) == (200, "/sign-in")
        assert "HIE_AUTH" not in page.text


def _children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)
