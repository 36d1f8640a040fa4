"""An MLLP client that plays many hospitals at once (Minimal Lower Layer Protocol, HL7 v2.5.1 appendix C.4).

Each connection carries whole senders, so the order of a sender's messages is kept;
on each, a window of messages may be unacknowledged. When a connection breaks, or no
ACK comes in time, it is opened again and the unacknowledged messages go out once
more, in order: the receiver must recognise what it already took. It shares no code
with the gateway, whose opponent it is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hie.core.errors import UnavailableError

_START, _END = b"\x0b", b"\x1c\r"
_LARGEST_ACK = 1 << 20
_ACCEPTED = frozenset({"AA", "CA"})
_PROGRESS_EVERY = 100
_KEPT_REFUSALS = 1000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be sent: `sender` decides its connection, `raw` is the encoded ER7 without frame."""

    sender: str
    control_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was not accepted: MSA-1 and the reason the receiver gave (ERR-8, ERR-3 or MSA-3)."""

    sender: str
    control_id: str
    code: str
    reason: str


@dataclass(slots=True)
class SendReport:
    """What became of the messages. `refusals` keeps the first thousand; `codes` counts every MSA-1."""

    sent: int = 0
    accepted: int = 0
    resent: int = 0
    reconnects: int = 0
    seconds: float = 0.0
    codes: dict[str, int] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Control id and "MSA-1 reason" of the refusals kept."""
        return [(each.control_id, f"{each.code} {each.reason}") for each in self.refusals]

    @property
    def refused(self) -> int:
        """How many messages were answered by anything but AA or CA."""
        return sum(self.codes.values()) - self.accepted


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a connection is.

    `window`: messages that may be unacknowledged; `ack_seconds`: longest wait for an ACK;
    `attempts`: connections in a row without an ACK before giving up; `pause_seconds`: between them.
    """

    window: int = 32
    ack_seconds: float = 60.0
    attempts: int = 8
    pause_seconds: float = 0.2


def send_messages(
    messages: Iterable[Outgoing],
    host: str,
    port: int,
    *,
    connections: int = 4,
    progress: Callable[[int], None],
    limits: Limits | None = None,
) -> SendReport:
    """Send `messages`, drawn as fast as they are acknowledged; return the report once all are answered.

    UnavailableError when a connection cannot be had or kept within `limits.attempts`.
    """
    return asyncio.run(_send(messages, host, port, connections, progress, limits or Limits()))


async def _send(
    messages: Iterable[Outgoing],
    host: str,
    port: int,
    connections: int,
    progress: Callable[[int], None],
    limits: Limits,
) -> SendReport:
    report = SendReport()
    started = time.monotonic()
    lanes: dict[str, _Lane] = {}
    opened: list[_Lane] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            for message in messages:
                lane = lanes.get(message.sender)
                if lane is None:
                    if len(opened) < connections:
                        opened.append(_Lane(host, port, limits, report, progress))
                        tasks.create_task(opened[-1].run())
                    lane = lanes[message.sender] = opened[len(lanes) % len(opened)]
                report.sent += 1
                await lane.queue.put(message)
                await asyncio.sleep(0)
            for lane in opened:
                await lane.queue.put(None)
    except* UnavailableError as group:
        raise group.exceptions[0] from group
    report.seconds = time.monotonic() - started
    progress(sum(report.codes.values()))
    return report


class _Lane:
    """One connection and what is on its way on it."""

    def __init__(
        self, host: str, port: int, limits: Limits, report: SendReport, progress: Callable[[int], None]
    ) -> None:
        self.queue: asyncio.Queue[Outgoing | None] = asyncio.Queue(maxsize=2 * limits.window)
        self._host, self._port = host, port
        self._limits = limits
        self._report = report
        self._progress = progress
        self._unacknowledged: deque[Outgoing] = deque()
        self._room = asyncio.Event()
        self._has_ended = False
        self._failures = 0

    async def run(self) -> None:
        """Keep a connection until everything queued is answered."""
        while True:
            try:
                await self._session()
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError) as error:
                self._failures += 1
                if self._failures >= self._limits.attempts:
                    text = (
                        f"MLLP connection to {self._host}:{self._port} lost {self._failures} times: {error}"
                    )
                    raise UnavailableError(text) from error
                self._report.reconnects += 1
                await asyncio.sleep(self._limits.pause_seconds * self._failures)
            else:
                return

    async def _session(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LARGEST_ACK)
        try:
            for message in self._unacknowledged:
                writer.write(_START + message.raw + _END)
            self._report.resent += len(self._unacknowledged)
            reading = asyncio.create_task(self._read(reader))
            writing = asyncio.create_task(self._write(writer))
            try:
                done, _ = await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
                if reading not in done and not writing.exception() and self._unacknowledged:
                    await reading
                for task in done:
                    task.result()
            finally:
                reading.cancel()
                writing.cancel()
                await asyncio.gather(reading, writing, return_exceptions=True)
        finally:
            writer.close()

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        while not self._has_ended:
            while len(self._unacknowledged) >= self._limits.window:
                self._room.clear()
                await self._room.wait()
            message = await self.queue.get()
            if message is None:
                self._has_ended = True
            else:
                self._unacknowledged.append(message)
                writer.write(_START + message.raw + _END)
                await writer.drain()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Take ACKs until the lane has ended and nothing is unacknowledged; TimeoutError when one is late."""
        while not (self._has_ended and not self._unacknowledged):
            try:
                frame = await asyncio.wait_for(reader.readuntil(_END), self._limits.ack_seconds)
            except TimeoutError:
                if self._unacknowledged:
                    raise
                continue
            self._acknowledge(*read_acknowledgment(frame))

    def _acknowledge(self, code: str, control_id: str, reason: str) -> None:
        message = next((each for each in self._unacknowledged if each.control_id == control_id), None)
        if message is None:
            return
        self._unacknowledged.remove(message)
        self._room.set()
        self._failures = 0
        report = self._report
        report.codes[code] = report.codes.get(code, 0) + 1
        if code in _ACCEPTED:
            report.accepted += 1
        elif len(report.refusals) < _KEPT_REFUSALS:
            report.refusals.append(Refusal(message.sender, control_id, code, reason))
        answered = sum(report.codes.values())
        if answered % _PROGRESS_EVERY == 0:
            self._progress(answered)


def read_acknowledgment(frame: bytes) -> tuple[str, str, str]:
    """Return MSA-1, MSA-2 and the reason of an ACK frame; empty texts where it has none.

    The reason is the first of ERR-8, ERR-3 and MSA-3 that is there, as received.
    """
    text = frame.strip(_START + _END).decode("utf-8", errors="replace")
    separator = text[3:4] or "|"
    segments = [line.split(separator) for line in text.replace("\n", "\r").split("\r") if line]

    def of(name: str, number: int) -> str:
        return next((row[number] for row in segments if row[0] == name and len(row) > number), "")

    reason = of("ERR", 8) or of("ERR", 3) or of("MSA", 3)
    return of("MSA", 1), of("MSA", 2), reason
