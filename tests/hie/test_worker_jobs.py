"""`hie worker` works jobs in a process of its own, starts it again when it is killed, and takes it along."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from fhir_server.bulk.kick_off import KickOff
from fhir_server.jobs.job import Job
from fhir_server.jobs.service import Jobs
from hie import wiring
from hie.core.settings import Settings
from tests.environment import laboratory

MOST_SECONDS = 90


@contextmanager
def _worker(folder: Path, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = laboratory(
        HIE_DATABASE_URL=database_url, HIE_VAR_DIR=str(folder), HIE_JOB_LEASE_SECONDS="1"
    )
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hie", "worker"], env=environment, cwd=folder, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _children(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    living = [
        child for child in psutil.Process(worker.pid).children() if child.status() != psutil.STATUS_ZOMBIE
    ]
    return [child for child in living if child.cmdline()[-2:] == ["worker", "--jobs"]]


def _until_there_is(worker: subprocess.Popen[bytes], other_than: int = 0) -> psutil.Process:
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        assert time.monotonic() < deadline
        for child in _children(worker):
            if child.pid != other_than:
                return child
        time.sleep(0.1)


def _begin(exchange: wiring.Exchange, jobs: Jobs) -> str:
    with exchange.database.transaction() as transaction:
        accepted = jobs.begin(
            transaction, kind="export", request="test", parameters=KickOff("system").to_json()
        )
    return accepted.headers["Content-Location"].rpartition("/")[2]


def _until_done(exchange: wiring.Exchange, jobs: Jobs, identity: str) -> Job:
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        with exchange.database.transaction() as transaction:
            job = jobs.find(transaction, identity)
        if job.is_final:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)


def _ends(process: psutil.Process) -> bool:
    """Say whether `process` ends in time; one that waits to be reaped, by whom its parent left it to, has."""
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def test_worker_works_jobs_in_a_child_that_it_starts_again(tmp_path: Path, database_url: str) -> None:
    with wiring.build(Settings(var_dir=tmp_path), database_url=database_url) as exchange:
        jobs = Jobs(exchange.settings.base_url, exchange.settings.jobs, exchange.clock)
        first = _begin(exchange, jobs)
        with _worker(tmp_path, database_url) as worker:
            assert _until_done(exchange, jobs, first).state == "done"
            child = _until_there_is(worker)
            child.send_signal(signal.SIGKILL)
            again = _until_there_is(worker, other_than=child.pid)
            second = _begin(exchange, jobs)
            assert _until_done(exchange, jobs, second).state == "done"
            worker.kill()
            assert _ends(again), "the child ends with its worker"


def test_worker_that_is_asked_to_stop_takes_its_jobs_along(tmp_path: Path, database_url: str) -> None:
    with _worker(tmp_path, database_url) as worker:
        child = _until_there_is(worker)
        time.sleep(3)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        assert _ends(child)
