"""An MLLP client: sends messages, waits for their acknowledgments, and says what each was.

The side of the sender, for `hie send`, the simulator and tests; not the delivery of outbound messages.
HL7 Transport Specification MLLP,
https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF.
"""

import codecs
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

from hie.core.errors import ExchangeError, UnavailableError
from hl7_gateway.er7.batch import split
from hl7_gateway.er7.charset import wide_codec
from hl7_gateway.er7.message import Message
from hl7_gateway.er7.reader import read
from hl7_gateway.header import header_from
from hl7_gateway.mllp.framing import FrameReader, frame

_LINE_END = re.compile(rb"\r\n|\n")
_ACCEPTED = ("AA", "CA")
_READ_BYTES = 65536
_LONGEST_ACKNOWLEDGMENT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one message.

    `code` is MSA-1, "" when no acknowledgment came; `text` the reason (ERR-8, MSA-3, or why there is none);
    `source` the file and the number of the message in it ("a.hl7:3").
    """

    source: str
    control_id: str
    code: str
    text: str
    seconds: float

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver took the message."""
        return self.code in _ACCEPTED


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send: its bytes as they go into the block, and where it came from."""

    source: str
    raw: bytes

    @property
    def control_id(self) -> str:
        """MSH-10 as written, "" when there is none."""
        return header_from(self.raw[:4096]).control_id


class MLLPConnection:
    """One connection; use it as a context manager. Not shared between threads."""

    def __init__(
        self, host: str, port: int, *, timeout: float = 30.0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Connect, by TLS where there is a context; raises UnavailableError.

        `timeout` in seconds is for each wait.
        """
        self._timeout = timeout
        self._reader = FrameReader(_LONGEST_ACKNOWLEDGMENT)
        self._received: deque[bytes] = deque()
        try:
            self._socket = socket.create_connection((host, port), timeout)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=host)
        except OSError as error:
            raise UnavailableError(f"Nothing answers on {host}:{port} ({error})") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def put(self, message: bytes) -> None:
        """Send a message without waiting for its acknowledgment; raises UnavailableError."""
        try:
            self._socket.sendall(frame(message))
        except OSError as error:
            raise UnavailableError(f"The receiver closed the connection ({error})") from error

    def take(self) -> bytes:
        """Return the next acknowledgment; raises UnavailableError when none comes in time."""
        while not self._received:
            try:
                data = self._socket.recv(_READ_BYTES)
            except TimeoutError as error:
                raise UnavailableError(f"No acknowledgment within {self._timeout:g} s") from error
            except OSError as error:
                raise UnavailableError(f"The receiver closed the connection ({error})") from error
            if not data:
                raise UnavailableError("The receiver closed the connection")
            self._received.extend(self._reader.feed(data))
            if self._reader.is_settling and (last := self._reader.settle()) is not None:
                self._received.append(last)
        return self._received.popleft()

    def send(self, message: bytes) -> bytes:
        """Send a message and return its acknowledgment; raises UnavailableError."""
        self.put(message)
        return self.take()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Return the connection itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()


def send_files(
    files: Iterable[Path],
    *,
    host: str,
    port: int,
    connections: int = 1,
    window: int = 1,
    timeout: float = 30.0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Answer]:
    """Send every message of `files` and yield what became of each.

    One connection sends in the order of the files, and the answers come in that order; of several each takes
    every n-th message. `window` messages of a connection may wait for their acknowledgment at a time. A
    message whose acknowledgment does not come has an Answer without code; what would have followed on its
    connection too.
    """
    outgoing = [message for file in files for message in outgoing_of(file)]
    yield from send_all(
        outgoing, host=host, port=port, connections=connections, window=window, timeout=timeout, tls=tls
    )


def send_all(
    outgoing: Sequence[Outgoing],
    *,
    host: str,
    port: int,
    connections: int = 1,
    window: int = 1,
    timeout: float = 30.0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Answer]:
    """Send messages as `send_files` does."""
    connect = partial(MLLPConnection, host, port, timeout=timeout, tls=tls)
    shares = [outgoing[number::connections] for number in range(min(connections, len(outgoing)))]
    if len(shares) == 1:
        yield from _send_share(shares[0], connect, window)
        return
    answers: SimpleQueue[Answer] = SimpleQueue()

    def work(share: Sequence[Outgoing]) -> None:
        for answer in _send_share(share, connect, window):
            answers.put(answer)

    threads = [Thread(target=work, args=(share,), daemon=True) for share in shares]
    for thread in threads:
        thread.start()
    for _ in outgoing:
        yield answers.get()
    for thread in threads:
        thread.join()


def outgoing_of(file: Path) -> list[Outgoing]:
    """Return the messages of a file as they stand in blocks, their bytes otherwise kept."""
    messages = split(file.read_bytes())
    return [Outgoing(f"{file.name}:{n}", on_the_wire(raw)) for n, raw in enumerate(messages, 1)]


def on_the_wire(raw: bytes) -> bytes:
    r"""Return a message as it stands in a block: segments ended by CR, no byte order mark.

    >>> on_the_wire(b"MSH|1\nPID|2\r\n")
    b'MSH|1\rPID|2\r'
    """
    if wide_codec(raw):
        return raw
    text = _LINE_END.sub(b"\r", raw.removeprefix(codecs.BOM_UTF8)).strip(b"\r")
    return text + b"\r"


def read_answer(outgoing: Outgoing, acknowledgment: bytes, seconds: float) -> Answer:
    """Return what an acknowledgment says of a message."""
    control_id = outgoing.control_id
    try:
        message = read(acknowledgment)
    except ExchangeError as error:
        return Answer(outgoing.source, control_id, "", f"The acknowledgment cannot be read: {error}", seconds)
    msa = message.first("MSA")
    if msa is None:
        return Answer(outgoing.source, control_id, "", "The acknowledgment has no MSA", seconds)
    acknowledged = msa.raw(2)
    if acknowledged and control_id and acknowledged != control_id:
        reason = f"The acknowledgment is for {acknowledged}"
        return Answer(outgoing.source, control_id, "", reason, seconds)
    return Answer(outgoing.source, control_id, msa.first(1), _reason(message), seconds)


def _reason(message: Message) -> str:
    reasons = []
    for err in message.all("ERR"):
        place = "-".join(filter(None, (err.first(2, 1), err.first(2, 3))))
        text = err.first(8) or err.first(7) or err.first(3, 2)
        reasons.append(": ".join(filter(None, (place, text))))
    msa = message.first("MSA")
    return "; ".join(filter(None, reasons)) or (msa.first(3) if msa else "")


def _send_share(
    share: Sequence[Outgoing], connect: Callable[[], MLLPConnection], window: int
) -> Iterator[Answer]:
    waiting: deque[tuple[Outgoing, float]] = deque()
    rest = iter(share)
    try:
        with connect() as connection:
            for message in rest:
                waiting.append((message, time.perf_counter()))
                connection.put(message.raw)
                if len(waiting) >= window:
                    yield _take(connection, waiting)
            while waiting:
                yield _take(connection, waiting)
    except UnavailableError as error:
        for message, began in waiting:
            yield Answer(message.source, message.control_id, "", error.message, time.perf_counter() - began)
        for message in rest:
            yield Answer(message.source, message.control_id, "", f"Not sent: {error.message}", 0.0)


def _take(connection: MLLPConnection, waiting: deque[tuple[Outgoing, float]]) -> Answer:
    acknowledgment = connection.take()
    message, began = waiting.popleft()
    return read_answer(message, acknowledgment, time.perf_counter() - began)
