"""Processes that store batches side by side, one on each core.

Reading, validating and indexing a resource takes the processor of one Python process twice as long as
storing it takes PostgreSQL's, so that one process could not keep two cores busy. The children have
connections of their own; what they have committed is told by `job_part` and not by them, so
that a child, or the parent, may die at any moment.
"""

import ctypes
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from threading import Lock
from typing import Final, NamedTuple

from fhir_server.bulk.batch import BatchImporter, BatchResult, Part
from hie.core import garbage
from hie.core.access import Requester
from hie.core.errors import UnavailableError

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
# Starting the children takes about as long as storing so much in one process.
LARGE_BYTES: Final = 8 * 1024 * 1024
# Batches that wait for a process, so that none waits for a batch.
_AHEAD: Final = 2


class Batch(NamedTuple):
    """Numbered lines to store; see `BatchImporter.store`."""

    lines: Sequence[tuple[int, bytes]]
    requester: Requester
    resource_type: str | None
    part: Part | None


class ImportPool:
    """Stores batches in child processes; made on first use, made again when a child died."""

    def __init__(self, make: Callable[[], BatchImporter], processes: int, *, own: BatchImporter) -> None:
        """Take what makes the importer of a child (it is sent there: a function of a module), and our own."""
        self.own = own
        self._make = make
        self._processes = processes
        self._executor: ProcessPoolExecutor | None = None
        self._lock = Lock()

    def store(self, batches: Iterable[Batch]) -> Iterator[BatchResult]:
        """Return the results of `batches`, in order; as many are under way as there are processes.

        Raises UnavailableError when a child died: which of the batches are stored is then for
        `job_part` to say.
        """
        waiting: deque[Future[BatchResult]] = deque()
        try:
            for batch in batches:
                waiting.append(self._submit(batch))
                if len(waiting) >= self._processes * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except (BrokenProcessPool, CancelledError) as error:
            self.close()
            raise UnavailableError("A process that imports ended") from error
        finally:
            for future in waiting:
                future.cancel()

    def store_here(self, batches: Iterable[Batch]) -> Iterator[BatchResult]:
        """Return the results of `batches`, in order, each stored by this process."""
        return (_store_by(self.own, batch) for batch in batches)

    def close(self) -> None:
        """End the children, after the batches that they are at."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)

    def _submit(self, batch: Batch) -> Future[BatchResult]:
        executor = self._start()
        try:
            return executor.submit(_store, batch)
        except BrokenProcessPool:
            raise
        except RuntimeError as error:  # another job found it broken and has closed it
            raise UnavailableError("The processes that import are being started again") from error

    def _start(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    self._processes,
                    # a fork would share the parent's connections
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_begin,
                    initargs=(self._make,),
                )
            return self._executor


_importers: list[BatchImporter] = []


def _begin(make: Callable[[], BatchImporter]) -> None:
    """Make the importer of this child, which ends with its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C reaches the whole group; the parent decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _importers.append(make())
    garbage.settle()


def _store(batch: Batch) -> BatchResult:
    return _store_by(_importers[0], batch)


def _store_by(importer: BatchImporter, batch: Batch) -> BatchResult:
    return importer.store(
        batch.lines, requester=batch.requester, resource_type=batch.resource_type, part=batch.part
    )
