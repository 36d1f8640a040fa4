"""A listener in a thread of its own, for tests that speak to it over real sockets."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hie.core.clock import SystemClock
from hie.core.errors import ExchangeError
from hl7_gateway.acknowledgment import acknowledge
from hl7_gateway.conveyor import Process, Received
from hl7_gateway.er7.reader import read
from hl7_gateway.header import header_from
from hl7_gateway.mllp.framing import FrameReader
from hl7_gateway.mllp.limits import Limits
from hl7_gateway.mllp.listener import Listener

CLOCK = SystemClock()


def message(control_id: object, *, padding: int = 0) -> bytes:
    head = f"MSH|^~\\&|HIS|H|HIE|CITY|20260301||ADT^A01^ADT_A01|{control_id}|P|2.5\rNTE|1||{'x' * padding}\r"
    return head.encode()


def accept_all(batch: Sequence[Received]) -> list[bytes]:
    return [acknowledge(header_from(received.raw), "AA", now=CLOCK.now()) for received in batch]


@dataclass
class Gate:
    """Accepts every message, but only while it is open; `seen` is what was handed over, in order."""

    is_open: threading.Event = field(default_factory=threading.Event)
    seen: list[bytes] = field(default_factory=list)

    def __call__(self, batch: Sequence[Received]) -> list[bytes]:
        """Wait for the gate, then accept."""
        self.seen += [received.raw for received in batch]
        assert self.is_open.wait(30)
        return accept_all(batch)


def refuse(head: bytes, error: ExchangeError) -> bytes:
    return acknowledge(header_from(head), error.acknowledgment, now=CLOCK.now(), error=error)


@dataclass
class Running:
    """A started listener, its port and its loop."""

    listener: Listener
    port: int
    loop: asyncio.AbstractEventLoop

    def stop(self) -> None:
        """Stop as the process does."""
        asyncio.run_coroutine_threadsafe(self.listener.stop(), self.loop).result(60)


@contextmanager
def listening(
    process: Process = accept_all, *, limits: Limits | None = None, batch: int = 20, port: int = 0
) -> Iterator[Running]:
    listener = Listener(process, refuse=refuse, clock=CLOCK, limits=limits or Limits(), batch=batch)
    with running(listener, port=port) as found:
        yield found


@contextmanager
def running(listener: Listener, *, port: int = 0) -> Iterator[Running]:
    """Run a listener until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        number = asyncio.run_coroutine_threadsafe(listener.start("127.0.0.1", port), loop).result(10)
        found = Running(listener, number, loop)
        yield found
        found.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def connected(port: int, *, timeout: float = 10.0) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        yield connection


def control_ids(connection: socket.socket, count: int) -> list[tuple[str, str]]:
    """Return MSA-1 and MSA-2 of the next `count` acknowledgments, fewer when the connection ends before."""
    reader = FrameReader(1_000_000)
    found: list[tuple[str, str]] = []
    while len(found) < count and (data := connection.recv(65536)):
        for raw in reader.feed(data):
            msa = read(raw).first("MSA")
            assert msa is not None
            found.append((msa.first(1), msa.first(2)))
    return found


def is_closed(connection: socket.socket) -> bool:
    """Wait for the end of the connection; TimeoutError when it stays open."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True
