"""The gateway as a process: listens for MLLP until SIGTERM or SIGINT, then finishes what it has and ends."""

import asyncio
import signal

from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.ports import ResourceStore
from hie.core.settings import Settings
from hl7_gateway.convert.engine import Engine
from hl7_gateway.mllp.limits import Limits
from hl7_gateway.mllp.listener import Listener
from hl7_gateway.mllp.tls import ListenerTLS
from hl7_gateway.pipeline import Pipeline


class Gateway:
    """One gateway process; several may share a port."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        store: ResourceStore,
        engine: Engine,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        """Take the parts; `limits` are those of the settings unless given."""
        self._settings = settings
        self._limits = limits or Limits.of(settings)
        self._clock = clock
        self._tls = _tls(settings)
        self.pipeline = Pipeline(settings, database=database, store=store, engine=engine, clock=clock)

    def run(self) -> None:
        """Listen until SIGTERM or SIGINT, then finish what was received and acknowledge it.

        Raises ConfigurationError when the address is not loopback or is taken.
        """
        asyncio.run(self._serve())

    def listener(self) -> Listener:
        """Return the listener, not started; for those who run the event loop themselves."""
        return Listener(
            self.pipeline.process,
            refuse=self.pipeline.refuse,
            clock=self._clock,
            limits=self._limits,
            batch=self._settings.gateway_batch,
            tls=self._tls,
            refresh=self.pipeline.certificates.refresh,
        )

    async def _serve(self) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        listener = self.listener()
        await listener.start(self._settings.mllp_host, self._settings.mllp_port)
        await stopping.wait()
        await listener.stop()


def _tls(settings: Settings) -> ListenerTLS | None:
    """Return the TLS that the settings describe, None where they describe none."""
    files = settings.mllp_certificate, settings.mllp_key, settings.mllp_authorities
    if files[0] is None or files[1] is None or files[2] is None:
        return None
    return ListenerTLS(files[0], files[1], files[2])
