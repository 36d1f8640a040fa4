"""Wakes the websockets of this process when subscriptions have new events: LISTEN of PostgreSQL.

https://www.postgresql.org/docs/current/sql-listen.html. One connection for each process, opened with its
first websocket and again when it is lost. Waking is a hint: whoever is woken looks what there is.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import psycopg

from fhir_server.subscriptions.journal import NOTIFY_CHANNEL
from hie.core.db.database import Database

_AGAIN_SECONDS: Final = 1.0


class Wake:
    """Sets the events that are added; for one event loop."""

    def __init__(self, database: Database) -> None:
        """Take the database whose notifications are listened to."""
        url = database.engine.url.set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self._sleepers: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_listening = asyncio.Event()

    async def add(self, sleeper: asyncio.Event, subscription_ids: Iterable[str]) -> None:
        """Have `sleeper` set from now on whenever there may be something new for one of the subscriptions."""
        for identity in subscription_ids:
            self._sleepers.setdefault(identity, set()).add(sleeper)
        if self._task is None or self._task.done():
            self._is_listening.clear()
            self._task = asyncio.create_task(self._listen())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_listening.wait(), _AGAIN_SECONDS)

    def remove(self, sleeper: asyncio.Event) -> None:
        """Wake `sleeper` no longer; with the last one the connection ends."""
        for identity, sleepers in list(self._sleepers.items()):
            sleepers.discard(sleeper)
            if not sleepers:
                del self._sleepers[identity]
        if not self._sleepers and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _listen(self) -> None:
        while True:
            with suppress(psycopg.Error):
                connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
                async with connection:
                    await connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
                    self._is_listening.set()
                    for identity in self._sleepers:
                        self._wake(identity)  # what happened while nobody listened
                    async for news in connection.notifies():
                        self._wake(news.payload)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _wake(self, subscription_id: str) -> None:
        for sleeper in self._sleepers.get(subscription_id, ()):
            sleeper.set()
