"""A load generator for HTTP/1.1 on loopback: scripted clients on persistent connections.

A client is a generator that yields the requests it wants and is sent the answers, so that what it
asks next may depend on what it was told. It costs about 40 microseconds a request, because it
shares the cores with what it measures; it speaks only as much HTTP as our server answers
(Content-Length, no chunks). Any status but those that a request expects ends the run.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Final

HOST: Final = "127.0.0.1"
_END: Final = b"\r\n\r\n"
_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `kind` is the name that its times are counted under."""

    kind: str
    method: str
    path: str
    body: bytes = b""
    expected: tuple[int, ...] = (200, 201)

    def render(self, port: int) -> bytes:
        """Return the bytes to send."""
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nPrefer: return=minimal\r\n"
        if self.body:
            head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(self.body)}\r\n"
        return f"{head}\r\n".encode() + self.body


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request; header names are in lower case."""

    status: int
    head: bytes
    body: bytes

    @property
    def location(self) -> str:
        """The path of the Location header without its version."""
        for line in self.head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"location":
                path = value.strip().decode().partition("//")[2]
                return "/" + path.partition("/")[2].partition("/_history")[0]
        raise ValueError("The answer has no Location")


Client = Generator[Request, Answer, None]


@dataclass
class Load:
    """What a run measured: milliseconds by kind of request, and how long it took."""

    seconds: float = 0.0
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return sum(len(each) for each in self.milliseconds.values())

    @property
    def rate(self) -> float:
        """Requests answered a second."""
        return self.count / self.seconds

    def line(self, name: str, kinds: Sequence[str] | None = None) -> str:
        """Return ``name: rate, p50, p99`` of `kinds`, of all by default."""
        values = sorted(
            each for kind in (kinds or self.milliseconds) for each in self.milliseconds.get(kind, ())
        )
        if len(values) < 2:
            return f"{name}: {len(values)} requests"
        return (
            f"{name}: {len(values) / self.seconds:,.0f}/s; p50 {median(values):.1f} ms,"
            f" p99 {quantiles(values, n=100)[98]:.1f} ms"
        )


def run(port: int, clients: Sequence[Callable[[], Client]], seconds: float, *, warm_up: float = 1.0) -> Load:
    """Return what `clients`, one connection each, measured in `seconds` after `warm_up` seconds.

    A client that ends is begun anew. Raises RuntimeError for a status that was not expected.
    """
    return asyncio.run(_run(port, clients, seconds, warm_up))


def once(port: int, make: Callable[[], Client]) -> None:
    """Run one client to its end; raises as `run` does."""
    asyncio.run(_drive_once(port, make))


async def _drive_once(port: int, make: Callable[[], Client]) -> None:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, HOST, port)
    client = make()
    request = next(client, None)
    while request is not None:
        answer = await connection.ask(request.render(port))
        _require(request, answer)
        try:
            request = client.send(answer)
        except StopIteration:
            request = None
    connection.close()


def _require(request: Request, answer: Answer) -> None:
    if answer.status not in request.expected:
        raise RuntimeError(f"{request.method} {request.path}: {answer.status} {answer.body[:500]!r}")


async def _run(port: int, clients: Sequence[Callable[[], Client]], seconds: float, warm_up: float) -> Load:
    load = Load()
    began = time.perf_counter() + warm_up
    end = began + seconds
    async with asyncio.timeout(warm_up + seconds + _TIMEOUT_SECONDS), asyncio.TaskGroup() as group:
        for make in clients:
            group.create_task(_drive(port, make, load, began, end))
    load.seconds = seconds
    return load


async def _drive(port: int, make: Callable[[], Client], load: Load, began: float, end: float) -> None:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Connection, HOST, port)
    client = make()
    request = next(client)
    while (sent := time.perf_counter()) < end:
        answer = await connection.ask(request.render(port))
        now = time.perf_counter()
        if began <= now < end:
            load.milliseconds[request.kind].append((now - sent) * 1000)
        load.statuses[answer.status] += 1
        _require(request, answer)
        try:
            request = client.send(answer)
        except StopIteration:
            client = make()
            request = next(client)
    connection.close()


class _Connection(asyncio.Protocol):
    """One persistent connection with one request under way at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._needed = 0
        self._body_at = 0
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._needed:
            at = received.find(_END)
            if at < 0:
                return
            self._body_at = at + len(_END)
            self._needed = self._body_at + _content_length(bytes(received[:at]))
        if len(received) >= self._needed and self._waiting is not None:
            head = bytes(received[: self._body_at - len(_END)])
            answer = Answer(int(head[9:12]), head, bytes(received[self._body_at : self._needed]))
            del received[: self._needed]
            self._needed = 0
            waiting, self._waiting = self._waiting, None
            waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("The server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
