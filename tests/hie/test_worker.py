"""The worker delivers the outbox: by the database's own queue, and by Redis; a lost broker loses nothing."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from hie import wiring
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.environment import laboratory

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None and "HIE_CI" not in os.environ,
    reason="redis-server is not installed",
)


@contextmanager
def _worker(folder: Path, database_url: str, broker_url: str = "") -> Iterator[subprocess.Popen[bytes]]:
    environment = laboratory(HIE_DATABASE_URL=database_url, HIE_VAR_DIR=str(folder))
    if broker_url:
        environment["HIE_BROKER_URL"] = broker_url
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hie", "worker"], env=environment, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def _redis(folder: Path, port: int) -> Iterator[str]:
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def _diagnose(database_url: str, number: int) -> None:
    """Store a patient of a hospital with a diagnosis of mumps, as the gateway does."""
    entries: list[JsonObject] = [
        {
            "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
            "resource": {
                "resourceType": "Organization",
                "identifier": [{"system": "http://hie.example/sid/H1/Organization", "value": "H1"}],
            },
            "request": {
                "method": "POST",
                "url": "Organization",
                "ifNoneExist": "identifier=http://hie.example/sid/H1/Organization%7CH1",
            },
        },
        {
            "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002",
            "resource": {
                "resourceType": "Patient",
                "managingOrganization": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
            },
            "request": {"method": "POST", "url": "Patient"},
        },
        {
            "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000003",
            "resource": {
                "resourceType": "Condition",
                "id": f"c{number}",
                "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000002"},
                "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "B26.9"}]},
                "recordedDate": "2026-11-20",
            },
            "request": {"method": "PUT", "url": f"Condition/c{number}"},
        },
    ]
    bundle: JsonObject = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    with (
        wiring.build(Settings(), database_url=database_url) as exchange,
        exchange.database.transaction() as transaction,
    ):
        (result,) = exchange.repository.transact(transaction, [bundle])
        assert result.error is None, result


def _cases(database: Database) -> list[tuple[str, str, date, str]]:
    with database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT condition_id, condition, day, institution FROM case_report ORDER BY 1"
        ).fetchall()
    return [tuple(row) for row in rows]


def _until(database: Database, cases: int, log: Path) -> list[tuple[str, str, date, str]]:
    deadline = time.monotonic() + 60
    while len(found := _cases(database)) < cases:
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.2)
    return found


def test_change_of_the_record_reaches_its_consumer_without_any_broker(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    _diagnose(database_url, 1)
    with _worker(tmp_path, database_url):
        assert _until(database, 1, tmp_path / "worker.log") == [("c1", "mumps", date(2026, 11, 20), "H1")]
        _diagnose(database_url, 2)
        assert len(_until(database, 2, tmp_path / "worker.log")) == 2
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


@needs_redis
def test_broker_that_dies_and_comes_back_empty_loses_nothing(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with _worker(tmp_path, database_url, f"redis://127.0.0.1:{port}/0"):
        with _redis(tmp_path, port):
            _diagnose(database_url, 1)
            _until(database, 1, tmp_path / "worker.log")
        _diagnose(database_url, 2)
        with _redis(tmp_path, port):
            assert [row[0] for row in _until(database, 2, tmp_path / "worker.log")] == ["c1", "c2"]


@pytest.mark.full
@pytest.mark.timeout(300)
def test_worker_does_not_live_on_in_silence_when_the_database_was_away(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    _diagnose(database_url, 1)
    with _worker(tmp_path, database_url) as process:
        _until(database, 1, tmp_path / "worker.log")
        with database.transaction() as transaction:
            transaction.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        _diagnose(database_url, 2)
        deadline = time.monotonic() + 120
        while len(_cases(database)) < 2 and process.poll() is None:
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text(encoding="utf-8")
            time.sleep(0.5)
    if process.returncode == 1:
        with _worker(tmp_path, database_url):
            assert len(_until(database, 2, tmp_path / "worker.log")) == 2


def test_killed_worker_leaves_no_process_behind(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    _diagnose(database_url, 1)
    with _worker(tmp_path, database_url) as process:
        _until(database, 1, tmp_path / "worker.log")
        children = Path(f"/proc/{process.pid}/task").glob("*/children")
        others = [int(each) for file in children for each in file.read_text(encoding="ascii").split()]
        assert others
        process.kill()
        deadline = time.monotonic() + 30
        while any(_is_running(each) for each in others):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
