"""The MLLP listener: accepts connections, hands their messages to the conveyor and the acknowledgments back.

HL7 Transport Specification MLLP, release 1,
https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF. Several processes may
listen on one port (SO_REUSEPORT); the kernel spreads the connections. Without TLS any address but loopback
is refused.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from hie.core.clock import Clock
from hie.core.errors import ConfigurationError, ExchangeError
from hl7_gateway import metrics
from hl7_gateway.conveyor import Conveyor, Process, Receipt, Received
from hl7_gateway.mllp.connection import Connection
from hl7_gateway.mllp.limits import Limits
from hl7_gateway.mllp.tls import ListenerTLS

logger = logging.getLogger(__name__)

_BACKLOG = 1024
_INSPECTIONS_A_SECOND = 2
_HANDSHAKE_SECONDS = 10.0
REFRESH_SECONDS = 30.0


class Listener:
    """Listens on one address; `start` and `stop` are the edge of its life.

    `refuse` makes the acknowledgment of a block that was given up from the head of it.
    """

    def __init__(
        self,
        process: Process,
        *,
        refuse: Callable[[bytes, ExchangeError], bytes],
        clock: Clock,
        limits: Limits,
        batch: int,
        tls: ListenerTLS | None = None,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what carries out a batch of messages; with `tls` every connection shows a certificate.

        `refresh` is called now and then, to read what was changed.
        """
        self._tls = tls
        self._refresh = refresh
        self.limits = limits
        self.refuse = refuse
        self._clock = clock
        self._conveyor: Conveyor[Connection] = Conveyor(process, self._deliver_later, batch=batch)
        self._connections: set[Connection] = set()
        self._held_back: dict[Connection, None] = {}
        self._queued_bytes = 0
        self._open_bytes = 0
        self._server: asyncio.Server | None = None
        self._inspector: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._emptied = asyncio.Event()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port (that which the system chose for port 0).

        Raises ConfigurationError when the address is not loopback or is taken.
        """
        self._loop = asyncio.get_running_loop()
        listening = bind(host, port, with_tls=self._tls is not None)
        self._server = await self._loop.create_server(
            lambda: Connection(self),
            sock=listening,
            backlog=_BACKLOG,
            ssl=None if self._tls is None else self._tls.context,
            ssl_handshake_timeout=None if self._tls is None else _HANDSHAKE_SECONDS,
        )
        self._conveyor.start()
        self._inspector = self._loop.create_task(self._inspect())
        number = int(listening.getsockname()[1])
        logger.info("MLLP%s on %s:%d", "" if self._tls is None else " by TLS", host, number)
        return number

    async def stop(self) -> None:
        """Accept nothing more, finish and answer what was received, then close.

        Connections that do not take their acknowledgments within `Limits.shutdown_seconds` are cut off.
        """
        if self._server is None or self._inspector is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.finish()
        try:
            async with asyncio.timeout(self.limits.shutdown_seconds):
                while self._connections:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            logger.warning("%d connections are cut off", len(self._connections))
            for connection in list(self._connections):
                connection.abort()
        await asyncio.get_running_loop().run_in_executor(None, self._conveyor.close)
        self._inspector.cancel()
        self._server = None

    # the connections' calls

    def admit(self, connection: Connection) -> bool:
        """Whether the connection may stay."""
        if len(self._connections) >= self.limits.connections:
            return False
        self._connections.add(connection)
        metrics.CONNECTIONS.inc()
        return True

    def leave(self, connection: Connection) -> None:
        """Forget the connection."""
        self._connections.discard(connection)
        self._held_back.pop(connection, None)
        metrics.CONNECTIONS.dec()
        if not self._connections:
            self._emptied.set()

    def submit(self, connection: Connection, message: bytes) -> bool:
        """Queue a message; False when the bytes of all connections that wait are too many."""
        if self._queued_bytes and self._queued_bytes + len(message) > self.limits.queued_bytes:
            self._held_back[connection] = None
            return False
        self._queued_bytes += len(message)
        metrics.WAITING.inc()
        self._conveyor.put(
            Receipt(
                Received(message, self._clock.now(), connection.certificate),
                connection,
                time.perf_counter(),
            )
        )
        return True

    def grow(self, size: int) -> bool:
        """Whether the blocks that have not ended may hold `size` bytes more."""
        self._open_bytes += size
        return self._open_bytes <= self.limits.open_bytes

    # the way back

    def _deliver_later(
        self, receipts: Sequence[Receipt[Connection]], acknowledgments: Sequence[bytes]
    ) -> None:
        assert self._loop is not None  # noqa: S101 - the conveyor is started after it
        self._loop.call_soon_threadsafe(self._deliver, receipts, acknowledgments)

    def _deliver(self, receipts: Sequence[Receipt[Connection]], acknowledgments: Sequence[bytes]) -> None:
        now = time.perf_counter()
        answers: dict[Connection, list[bytes]] = {}
        for receipt, acknowledgment in zip(receipts, acknowledgments, strict=True):
            answers.setdefault(receipt.origin, []).append(acknowledgment)
            self._queued_bytes -= len(receipt.received.raw)
            metrics.ACKNOWLEDGMENT_SECONDS.observe(now - receipt.began)
        metrics.WAITING.dec(len(receipts))
        for connection, in_order in answers.items():
            connection.answer(in_order)
        held_back, self._held_back = self._held_back, {}
        for connection in held_back:
            connection.pump()

    async def _inspect(self) -> None:
        refreshed = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(1 / _INSPECTIONS_A_SECOND)
            now = asyncio.get_running_loop().time()
            for connection in list(self._connections):
                connection.inspect(now)
            if now - refreshed > REFRESH_SECONDS:
                refreshed = now
                self._read_changes()

    def _read_changes(self) -> None:
        """Take renewed certificates; what cannot be used leaves the earlier ones, and is logged."""
        try:
            if self._tls is not None and self._tls.refresh():
                logger.info("the certificate of MLLP was renewed")
            self._refresh()
        except (ExchangeError, OSError) as error:
            logger.error("what was changed is not taken: %s", error)  # noqa: TRY400 - the place says nothing


def bind(host: str, port: int, *, with_tls: bool = False) -> socket.socket:
    """Return a socket bound to an address, its port shared with other processes of ours.

    Raises ConfigurationError for any but a loopback address without TLS, and when the port is taken.
    """
    address = "127.0.0.1" if host == "localhost" else host
    if not with_tls and not ip_address(address).is_loopback:
        raise ConfigurationError(f"MLLP without TLS listens on loopback only, not on {host}")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((address, port))
    except OSError as error:
        listening.close()
        raise ConfigurationError(f"MLLP cannot listen on {host}:{port}: {error.strerror}") from error
    return listening
