"""A load generator for HTTP/1.1 on loopback: scripted clients on persistent connections.

A client is a generator that yields the requests it wants and is sent the answers, so that what it
asks next may depend on what it was told. It shares the cores with what it measures, so it is plain sockets
and one selector: 40 to 60 microseconds a request, most of them the kernel's, where asyncio takes 100. It
speaks only as much HTTP as our server answers (Content-Length, no chunks), and reads every answer whole. Any
status but those that a request expects ends the run.
"""

import selectors
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Final, NamedTuple

HOST: Final = "127.0.0.1"
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_TIMEOUT_SECONDS: Final = 60.0
_PIECE: Final = 256 * 1024


class Request(NamedTuple):
    """One request; `kind` is the name that its times are counted under."""

    kind: str
    method: str
    path: str
    body: bytes = b""
    expected: tuple[int, ...] = (200, 201)

    def render(self, port: int, token: str = "") -> bytes:
        """Return the bytes to send, with `token` as the bearer's unless it is empty."""
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nPrefer: return=minimal\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if self.body:
            head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(self.body)}\r\n"
        return f"{head}\r\n".encode() + self.body


class Answer(NamedTuple):
    """The answer to a request: status, head and body as they came."""

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


def run(
    port: int,
    clients: Sequence[Callable[[], Client]],
    seconds: float,
    *,
    warm_up: float = 1.0,
    token: str = "",
) -> Load:
    """Return what `clients`, one connection each, measured in `seconds` after `warm_up` seconds.

    All send `token`. A client that ends is begun anew. Raises RuntimeError for a status that was not
    expected, TimeoutError
    where no answer comes for a minute.
    """
    load = Load(seconds)
    began = time.perf_counter() + warm_up
    end = began + seconds
    with selectors.DefaultSelector() as selector:
        connections = [_Connection(port, make, token) for make in clients]
        try:
            for connection in connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                connection.send()
            under_way = len(connections)
            while under_way:
                events = selector.select(_TIMEOUT_SECONDS)
                if not events:
                    raise TimeoutError(f"No answer within {_TIMEOUT_SECONDS:.0f} s")
                for key, _ in events:
                    connection = key.data
                    answer = connection.receive()
                    if answer is None:
                        continue
                    now = time.perf_counter()
                    if began <= now < end:
                        load.milliseconds[connection.request.kind].append((now - connection.sent) * 1000)
                    load.statuses[answer.status] += 1
                    if now >= end:
                        connection.check(answer)
                        selector.unregister(connection.socket)
                        under_way -= 1
                    else:
                        connection.go_on(answer)
                        connection.send()
        finally:
            for connection in connections:
                connection.socket.close()
    return load


def once(port: int, make: Callable[[], Client], *, token: str = "") -> None:
    """Run one client to its end; raises as `run` does."""
    connection = _Connection(port, make, token)
    connection.socket.settimeout(_TIMEOUT_SECONDS)
    with connection.socket:
        while True:
            connection.send()
            while (answer := connection.receive()) is None:
                pass
            connection.check(answer)
            try:
                connection.request = connection.client.send(answer)
            except StopIteration:
                return


class _Connection:
    """One persistent connection with one request under way at a time."""

    def __init__(self, port: int, make: Callable[[], Client], token: str) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = port
        self._token = token
        self._make = make
        self.client = make()
        self.request = next(self.client)
        self.sent = 0.0
        self._received = bytearray()
        self._body_at = 0
        self._needed = 0

    def send(self) -> None:
        """Send the request. Nobody else waits for this: the server is not told anything while it answers."""
        self.sent = time.perf_counter()
        self.socket.sendall(self.request.render(self._port, self._token))

    def receive(self) -> Answer | None:
        """Read what has come; return the answer when it is whole."""
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise ConnectionResetError("The server closed the connection")
        if not self._received and (answer := _whole(piece)) is not None:
            return answer
        received = self._received
        received += piece
        if not self._needed:
            at = received.find(_END)
            if at < 0:
                return None
            self._body_at = at + len(_END)
            self._needed = self._body_at + _content_length(bytes(received[:at]))
        if len(received) < self._needed:
            return None
        head = bytes(received[: self._body_at - len(_END)])
        answer = Answer(int(head[9:12]), head, bytes(received[self._body_at : self._needed]))
        del received[: self._needed]
        self._needed = 0
        return answer

    def check(self, answer: Answer) -> None:
        """Raise RuntimeError unless the status is one that the request expects."""
        request = self.request
        if answer.status not in request.expected:
            raise RuntimeError(f"{request.method} {request.path}: {answer.status} {answer.body[:500]!r}")

    def go_on(self, answer: Answer) -> None:
        """Take the client's next request; raises as `check`."""
        self.check(answer)
        try:
            self.request = self.client.send(answer)
        except StopIteration:
            self.client = self._make()
            self.request = next(self.client)


def _whole(piece: bytes) -> Answer | None:
    """Return the answer that `piece` is, None where it is a part of one."""
    at = piece.find(_END)
    if at < 0:
        return None
    head = piece[:at]
    body = piece[at + len(_END) :]
    return Answer(int(head[9:12]), head, body) if len(body) == _content_length(head) else None


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(_LENGTH)
    return int(rest.split(b"\r\n", 1)[0]) if rest else 0
