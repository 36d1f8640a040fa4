"""The conveyor: one thread that carries batches of messages, in order of arrival.

Listeners put messages in; the thread takes what is waiting, at most a batch, and hands the acknowledgments
back. It knows neither sockets nor SQL. One thread a process keeps the messages of a connection in order and
gives the database one transaction a batch.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Condition, Thread
from typing import Generic, TypeVar

# A batch ends early at this size, so that a transaction of large messages stays within memory.
_BATCH_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that a connection showed: SHA-256 of its DER (hexadecimal), subject as in RFC 4514."""

    fingerprint: str
    subject: str


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came: the bytes of its block and when the block was complete.

    `certificate` is what its connection showed, None where it showed none.
    """

    raw: bytes
    received_at: datetime
    certificate: Certificate | None = None


Process = Callable[[Sequence[Received]], Sequence[bytes]]
"""Carries out a batch: one acknowledgment a message, in order; what is acknowledged is committed."""

Origin = TypeVar("Origin")


@dataclass(frozen=True, slots=True)
class Receipt(Generic[Origin]):
    """A message and the connection that waits; `began` is a reading of `time.perf_counter`."""

    received: Received
    origin: Origin
    began: float


class Conveyor(Generic[Origin]):
    """Carries batches to `process` in one thread of its own.

    `deliver` is called in that thread after each batch with the receipts and their acknowledgments, in order.
    """

    def __init__(
        self,
        process: Process,
        deliver: Callable[[Sequence[Receipt[Origin]], Sequence[bytes]], None],
        *,
        batch: int,
    ) -> None:
        """Take the batch size; `start` begins the work."""
        self._process = process
        self._deliver = deliver
        self._batch = batch
        self._waiting: deque[Receipt[Origin]] = deque()
        self._changed = Condition()
        self._is_closed = False
        self._thread = Thread(target=self._run, name="conveyor", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def put(self, receipt: Receipt[Origin]) -> None:
        """Add a message; never waits."""
        with self._changed:
            self._waiting.append(receipt)
            self._changed.notify()

    def close(self) -> None:
        """Finish what is waiting, then end the thread and wait for it."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            self._deliver(batch, self._process([receipt.received for receipt in batch]))

    def _take(self) -> list[Receipt[Origin]]:
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            batch: list[Receipt[Origin]] = []
            size = 0
            while self._waiting and len(batch) < self._batch:
                size += len(self._waiting[0].received.raw)
                if batch and size > _BATCH_BYTES:
                    break
                batch.append(self._waiting.popleft())
            return batch
