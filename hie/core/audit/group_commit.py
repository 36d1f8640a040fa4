"""The event loop's way to the local log: what several requests did becomes durable with one synchronisation.

A request whose answer is ready waits for the others under way, for two milliseconds at most: so long they
are worked on in any case, and a synchronisation costs as much processor time as a quarter of a read. When
all under way wait, it is done at once and in the loop's own thread, since that has nothing else to do; a
single client waits for nobody.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from hie.core.audit.log import LocalLog
from hie.core.errors import UnavailableError

_DELAY_SECONDS: Final = 0.002

_Future = asyncio.Future[None]


class GroupCommit:
    """Appends to a log for the requests of one event loop at a time."""

    def __init__(self, log: LocalLog, *, delay_seconds: float = _DELAY_SECONDS) -> None:
        """Take the log."""
        self._log = log
        self._delay_seconds = delay_seconds
        self._under_way = 0
        self._bodies: list[bytes] = []
        self._waiting: list[_Future] = []
        self._timer: asyncio.TimerHandle | None = None
        # A thread of its own: those of the interactions may all be busy for long.
        self._thread = ThreadPoolExecutor(1, "audit-log")

    def begin(self) -> None:
        """Count a request that will be recorded, or not."""
        self._under_way += 1

    def end(self) -> None:
        """Count a request no longer: it is recorded, or will not be."""
        self._under_way -= 1
        if self._waiting and len(self._waiting) >= self._under_way:
            self._write()

    async def written(self, bodies: Sequence[bytes]) -> None:
        """Return when `bodies` are durable; raises UnavailableError when they cannot be written."""
        loop = asyncio.get_running_loop()
        future: _Future = loop.create_future()
        self._bodies += bodies
        self._waiting.append(future)
        if len(self._waiting) >= self._under_way:
            self._write()
        elif self._timer is None:
            self._timer = loop.call_later(self._delay_seconds, self._write_aside, loop)
        await future

    def _take(self) -> tuple[list[bytes], list[_Future]]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        taken = self._bodies, self._waiting
        self._bodies, self._waiting = [], []
        return taken

    def _write(self) -> None:
        bodies, waiting = self._take()
        error: UnavailableError | None = None
        try:
            self._log.append(bodies)
        except UnavailableError as failed:
            error = failed
        _tell(waiting, error)

    def _write_aside(self, loop: asyncio.AbstractEventLoop) -> None:
        bodies, waiting = self._take()
        made = self._thread.submit(self._log.append, bodies)
        made.add_done_callback(partial(_tell_from_thread, loop, waiting))


def _tell_from_thread(
    loop: asyncio.AbstractEventLoop, waiting: Sequence[_Future], made: "ThreadFuture[None]"
) -> None:
    loop.call_soon_threadsafe(_tell, waiting, made.exception())


def _tell(waiting: Sequence[_Future], error: BaseException | None) -> None:
    for future in waiting:
        if future.done():
            continue  # whoever waited was cancelled
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
