"""`hie worker` indexes words in a process of its own; killed in the middle, it loses none."""

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg

from fhir_server.full_text import ranges
from tests.fhir_server.full_text.written import exchange_of, found, patient, put
from tests.fhir_server.subscriptions.processes import running

RESOURCES = 8_000
KILLS = 3


def _until(is_so: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline, (folder / "worker.log").read_text(encoding="utf-8")
        time.sleep(0.002)


def _has_indexed(connection: psycopg.Connection[tuple[Any, ...]], least: int) -> bool:
    row = connection.execute("SELECT count(DISTINCT rid) FROM ix_text").fetchone()
    return row is not None and bool(row[0] >= least)


def _has_child(worker: int, other_than: int) -> bool:
    return _child(psutil.Process(worker), other_than) is not None


def _child(worker: psutil.Process, other_than: int) -> psutil.Process | None:
    for each in worker.children():
        is_living = each.status() != psutil.STATUS_ZOMBIE and each.pid != other_than
        if is_living and each.cmdline()[-2:] == ["worker", "--words"]:
            return each
    return None


def test_killed_worker_loses_no_words_and_indexes_none_twice(tmp_path: Path, database_url: str) -> None:
    with (
        exchange_of(database_url) as exchange,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        for at in range(0, RESOURCES, 4_000):
            put(exchange, *(patient(f"p{number}", f"word{number}") for number in range(at, at + 4_000)))
        with running("worker", tmp_path, database_url, {"HIE_FULL_TEXT": "true"}) as process:
            last = 0
            for kill in range(KILLS):
                least = RESOURCES * (kill + 1) // (KILLS + 1)
                _until(partial(_has_indexed, connection, least), tmp_path)
                _until(partial(_has_child, process.pid, last), tmp_path)
                child = _child(psutil.Process(process.pid), last)
                assert child is not None
                last = child.pid
                child.send_signal(signal.SIGKILL)
            _until(lambda: ranges.waiting(connection) == 0, tmp_path)
        rows = connection.execute("SELECT count(*), count(DISTINCT (param, rid)) FROM ix_text").fetchone()
        assert rows == (2 * RESOURCES, 2 * RESOURCES)  # `_text` and `_content` of each
        assert found(exchange, "Patient", ("_text", f"word{RESOURCES - 1}")) == {f"p{RESOURCES - 1}"}
