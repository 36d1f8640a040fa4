"""One MLLP connection: blocks in, acknowledgments out in the same order, whatever the sender does.

Runs in the event loop only. It processes nothing: messages go to the listener, which hands the
acknowledgments back. Backpressure is the socket's: while the window is full, or the sender does not read its
acknowledgments, nothing more is read.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from hie.core.errors import ExchangeError, PayloadTooLargeError, UnavailableError
from hl7_gateway import metrics
from hl7_gateway.conveyor import Certificate
from hl7_gateway.mllp.framing import FrameReader, frame
from hl7_gateway.mllp.limits import Limits
from hl7_gateway.mllp.tls import certificate_of

logger = logging.getLogger(__name__)

# Half-open sockets are found by TCP keepalive: first probe after a minute of silence, dead a minute later.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Exchange(Protocol):
    """What a connection asks of its listener."""

    limits: Limits

    def admit(self, connection: "Connection") -> bool:
        """Whether the connection may stay; counts it if so."""
        ...

    def submit(self, connection: "Connection", message: bytes) -> bool:
        """Take a message to be processed; False when there is no room, `pump` is called when there is."""
        ...

    def grow(self, size: int) -> bool:
        """Count bytes of blocks that have not ended; whether all connections together may hold them."""
        ...

    def refuse(self, head: bytes, error: ExchangeError) -> bytes:
        """Return the acknowledgment of a block of which only the head was kept."""
        ...

    def leave(self, connection: "Connection") -> None:
        """Forget the connection."""
        ...


class Connection(asyncio.Protocol):
    """One sender's connection."""

    def __init__(self, exchange: Exchange) -> None:
        """Take the listener; asyncio calls the rest."""
        self._exchange = exchange
        self._limits = exchange.limits
        self._reader = FrameReader(self._limits.message_bytes)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._in_work = 0
        self._heard_at = self._loop.time()
        self._block_began_at: float | None = None
        self._unread_since: float | None = None
        self._closing_since: float | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._garbage = 0
        self._held = 0
        self._refusal: ExchangeError = PayloadTooLargeError(
            f"The message is longer than {self._limits.message_bytes} bytes"
        )
        self._is_ending = False
        self._is_discarding = False
        self._is_counted = False
        self._transport: asyncio.Transport | None = None
        self.peer = ""
        self.certificate: Certificate | None = None

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or hang up when there are too many connections."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream protocol is given a stream
        self._transport = transport
        self.peer = _name(transport)
        if not self._exchange.admit(self):
            metrics.CLOSED.labels("refused").inc()
            logger.warning("%s: refused, there are %d connections", self.peer, self._limits.connections)
            transport.abort()
            return
        self._is_counted = True
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.certificate = certificate_of(tls.getpeercert(binary_form=True))
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        """Cut what came into messages."""
        if self._is_discarding:
            return
        self._heard_at = self._loop.time()
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        reader = self._reader
        messages = reader.feed(data)
        if messages:
            self._waiting.extend(messages)
            self._block_began_at = None
        if not reader.is_open:
            self._block_began_at = None
        elif self._block_began_at is None:
            self._block_began_at = self._heard_at
        if reader.garbage != self._garbage:
            self._count_garbage()
        self._hold()
        if reader.is_settling:
            self._settling = self._loop.call_later(self._limits.settle_seconds, self._settle)
        self.pump()

    def eof_received(self) -> bool:
        """Answer what was sent whole, then close; the rest of a block is lost with its sender."""
        if self._is_discarding:
            return False
        self._settle()
        if self._reader.is_open:
            logger.warning("%s: ended in the middle of a message, %d bytes", self.peer, self._reader.buffered)
            metrics.CLOSED.labels("half message").inc()
        self._is_ending = True
        self._end_if_done()
        # TLS has no half-closed connection: who ends it reads nothing more
        return self.certificate is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; its messages in work are finished all the same."""
        if exc is not None:
            logger.info("%s: lost (%s)", self.peer, type(exc).__name__)
        if self._settling is not None:
            self._settling.cancel()
        self._waiting.clear()
        self._transport = None
        if self._is_counted:
            self._exchange.grow(-self._held)
            self._exchange.leave(self)

    def pause_writing(self) -> None:
        """The sender does not read its acknowledgments: read nothing more from it."""
        self._unread_since = self._loop.time()
        self._steer()

    def resume_writing(self) -> None:
        """The sender reads again."""
        self._unread_since = None
        self.pump()

    # the listener's calls

    def pump(self) -> None:
        """Hand over the messages that window and listener have room for; read on if all are handed over."""
        while self._waiting and self._in_work < self._limits.window and self._unread_since is None:
            if not self._exchange.submit(self, self._waiting[0]):
                break
            self._waiting.popleft()
            self._in_work += 1
        self._steer()
        self._end_if_done()

    def answer(self, acknowledgments: Sequence[bytes]) -> None:
        """Send the acknowledgments of the oldest messages in work, in order."""
        self._in_work -= len(acknowledgments)
        if self._transport is None:
            return
        self._transport.write(b"".join([frame(acknowledgment) for acknowledgment in acknowledgments]))
        self._heard_at = self._loop.time()
        self.pump()

    def finish(self) -> None:
        """Read nothing more, answer what was read, then close."""
        self._is_ending = True
        self._steer()
        self._end_if_done()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def inspect(self, now: float) -> None:
        """Close the connection if one of its times is up; called about once a second."""
        reason = self._overdue(now)
        if reason is None or self._transport is None:
            return
        logger.info("%s: closed, %s", self.peer, reason)
        metrics.CLOSED.labels(reason).inc()
        self._transport.abort()

    def _overdue(self, now: float) -> str | None:
        limits = self._limits
        if self._closing_since is not None:
            return "acknowledgments not read" if now - self._closing_since > limits.unread_seconds else None
        if self._unread_since is not None:
            return "acknowledgments not read" if now - self._unread_since > limits.unread_seconds else None
        if self._block_began_at is not None and not self._waiting:
            allowed = limits.frame_seconds + self._reader.buffered / limits.frame_bytes_a_second
            if now - self._block_began_at > allowed:
                return "message too slow"
        is_idle = not self._in_work and not self._waiting
        return "idle" if is_idle and now - self._heard_at > limits.idle_seconds else None

    def _settle(self) -> None:
        self._settling = None
        message = self._reader.settle()
        if message is not None:
            self._block_began_at = None
            self._waiting.append(message)
            self._hold()
            self.pump()

    def _steer(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._waiting or self._unread_since is not None or (self._is_ending and not self._is_discarding):
            transport.pause_reading()
            if self._block_began_at is not None:
                # The clock of a begun block runs only while we read.
                self._block_began_at = self._loop.time()
        else:
            transport.resume_reading()

    def _end_if_done(self) -> None:
        if self._in_work or self._waiting or self._closing_since is not None:
            return
        if self._transport is None:
            return
        if self._reader.overflow is not None:
            self._refuse(self._reader.overflow)
        elif self._is_ending:
            self._closing_since = self._loop.time()
            self._transport.close()

    def _refuse(self, head: bytes) -> None:
        """Answer a block that is given up; close when the sender has had the time to read the answer.

        Closing a socket that still receives would reset it and take the answer away from the sender
        (RFC 1122 section 4.2.2.13).
        """
        assert self._transport is not None  # noqa: S101 - `_end_if_done` has looked
        self._closing_since = self._loop.time()
        self._is_discarding = True
        logger.warning("%s: closed, %s", self.peer, self._refusal.message)
        metrics.CLOSED.labels("message refused").inc()
        self._transport.write(frame(self._exchange.refuse(head, self._refusal)))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._steer()
        self._loop.call_later(self._limits.linger_seconds, self._close)

    def _hold(self) -> None:
        """Account for the block that has not ended; give it up when all connections hold too much."""
        grown = self._reader.buffered - self._held
        self._held += grown
        if grown and not self._exchange.grow(grown):
            self._refusal = UnavailableError(
                "Too many messages are being received at once; send it again later"
            )
            self._reader.give_up()
            self._exchange.grow(-self._held)
            self._held = 0

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _count_garbage(self) -> None:
        garbage = self._reader.garbage
        if not self._garbage:
            logger.warning("%s: bytes outside of MLLP blocks are ignored", self.peer)
        metrics.GARBAGE_BYTES.inc(garbage - self._garbage)
        self._garbage = garbage


def _name(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unknown peer"
