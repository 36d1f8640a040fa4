"""Works jobs: claims one, does its steps one after the other, and saves after each how far it is.

A worker that dies leaves a lease that runs out; the next one goes on from the last saved cursor.
Several runners, in one process or many, take different jobs. This is the loop; what is done
in a step belongs to the kinds, and the processes to `hie.worker`.
"""

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import psycopg

from fhir_server.jobs import queue
from fhir_server.jobs.job import Job, JobKind, JobStoppedError, Work
from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.errors import ExchangeError, InternalError, UnavailableError

_ROUND_SECONDS: Final = 0.5
_SWEEP_SECONDS: Final = 30.0
_LONGEST_WAIT_SECONDS: Final = 60

_log = logging.getLogger("hie.jobs")


class Runner:
    """Works jobs of the kinds it is given until `stop` is called."""

    def __init__(
        self,
        database: Database,
        kinds: Mapping[str, JobKind],
        *,
        folder: Path,
        clock: Clock,
        lease: timedelta,
        retention: timedelta,
    ) -> None:
        """Take the kinds by name, the folder of job files, and how long results are kept after the end."""
        self._database = database
        self._kinds = kinds
        self._folder = folder
        self._clock = clock
        self._lease = lease
        self._retention = retention
        self._stopping = threading.Event()
        self._swept = 0.0

    def stop(self) -> None:
        """Have `run` end; a step that is under way gives up at its next check."""
        self._stopping.set()

    def run(self) -> None:
        """Work jobs until `stop`; a database that is away is waited for."""
        while not self._stopping.is_set():
            try:
                is_idle = not self.work_one()
                self._sweep()
            except UnavailableError:
                is_idle = True
            if is_idle:
                self._stopping.wait(_ROUND_SECONDS)

    def work_one(self) -> bool:
        """Claim a job and work it to its end; False when none is waiting."""
        with self._database.transaction() as transaction:
            job = queue.claim(transaction, list(self._kinds), self._lease)
        if job is None:
            return False
        with _Lease(self._database, job, self._lease, self._stopping) as lease:
            try:
                self._work(job, lease)
            except JobStoppedError:
                self._give_back(job, timedelta(), "waiting for a worker")
            except (UnavailableError, psycopg.OperationalError, OSError) as error:
                wait = timedelta(seconds=min(_LONGEST_WAIT_SECONDS, 2**job.attempts))
                _log.warning("job %s (%s) waits %s: %s", job.id, job.kind, wait, type(error).__name__)
                self._give_back(job, wait, f"waiting after {type(error).__name__}")
            except ExchangeError as error:
                self._fail(job, error)
            except Exception as error:  # noqa: BLE001 - whatever a kind raises ends its job, not the worker
                _log.exception("job %s (%s) failed", job.id, job.kind)
                self._fail(
                    job, InternalError(f"The job ended with a fault of the server ({type(error).__name__})")
                )
        return True

    def _work(self, job: Job, lease: "_Lease") -> None:
        if job.attempts > queue.MAXIMUM_ATTEMPTS:
            raise InternalError(f"The job was begun {job.attempts - 1} times and its step never ended")
        kind = self._kinds[job.kind]
        folder = queue.folder_of(self._folder, job.id)
        folder.mkdir(parents=True, exist_ok=True)
        held: Job | None = job
        while held is not None:
            work = Work(held, self._database, folder, lease.is_lost)
            work.check()
            step = kind.step(work)
            now = self._clock.now()
            with self._database.transaction() as transaction:
                is_saved = queue.save(transaction, held, step, now=now, retention=self._retention)
            if not is_saved:
                raise JobStoppedError
            held = None if step.output is not None else queue.after(held, step)

    def _give_back(self, job: Job, wait: timedelta, progress: str) -> None:
        try:
            with self._database.transaction() as transaction:
                queue.release(transaction, job, wait, progress)
        except UnavailableError:
            return  # the lease runs out by itself

    def _fail(self, job: Job, error: ExchangeError) -> None:
        with self._database.transaction() as transaction:
            queue.fail(transaction, job, error, now=self._clock.now(), retention=self._retention)

    def _sweep(self) -> None:
        """Remove jobs and files that are due, every now and then."""
        if time.monotonic() - self._swept < _SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        self.remove_expired()

    def remove_expired(self) -> int:
        """Remove the expired and the cancelled jobs with their files; return how many there were."""
        with self._database.transaction() as transaction:
            identities = queue.expired(transaction, self._clock.now())
        for identity in identities:
            shutil.rmtree(queue.folder_of(self._folder, identity), ignore_errors=True)
        if identities:
            with self._database.transaction() as transaction:
                queue.remove(transaction, identities)
        return len(identities)


class _Lease:
    """Renews the lease of a job in a thread of its own, whatever its step waits for."""

    def __init__(self, database: Database, job: Job, length: timedelta, stopping: threading.Event) -> None:
        self._database = database
        self._job = job
        self._length = length
        self._stopping = stopping
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{job.id}", daemon=True)

    def is_lost(self) -> bool:
        """Say whether the work must end."""
        return self._lost.is_set() or self._stopping.is_set()

    def _renew(self) -> None:
        seconds = self._length.total_seconds()
        held_until = time.monotonic() + seconds
        while not self._ended.wait(seconds / 4):
            try:
                with self._database.transaction() as transaction:
                    is_held = queue.renew(transaction, self._job, self._length)
            except (UnavailableError, psycopg.Error):
                is_held = time.monotonic() < held_until
            else:
                held_until = time.monotonic() + seconds
            if not is_held:
                self._lost.set()
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
