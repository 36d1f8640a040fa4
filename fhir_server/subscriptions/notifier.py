"""Sends notifications to the endpoints of rest-hooks: in order, at least once, again with growing waits.

Any number of threads and machines may do it: each works a subscription under a lease. A notification is
noted as delivered after its endpoint has said so, so that one that was sent when a worker died is
sent again, with the same event numbers. A subscription whose attempts are used up is in error; its events
wait (`$dead-letters`) until its client or an operator activates it again.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fhir_server.service import Repository
from fhir_server.subscriptions import journal
from fhir_server.subscriptions.definition import Definition, read_definition
from fhir_server.subscriptions.endpoint import Sender
from fhir_server.subscriptions.journal import Standing
from fhir_server.subscriptions.messages import Message, Messages
from fhir_server.subscriptions.resource_status import move
from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.errors import ExchangeError, InvalidResourceError, UnavailableError
from hie.core.settings import Settings

_IDLE_SECONDS: Final = 0.2
_SWEEP_SECONDS: Final = 10.0
# What a lease outlasts its request by: the time to note what came of it.
_MARGIN_SECONDS: Final = 30.0

_log = logging.getLogger("hie.subscriptions")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long it is tried: attempts, first and longest wait, time for one answer."""

    attempts: int
    first_seconds: float
    longest_seconds: float
    answer_seconds: float
    event_days: float

    @classmethod
    def of(cls, settings: Settings) -> "Patience":
        """Return what the settings say."""
        return cls(
            settings.subscription_attempts,
            settings.subscription_retry_seconds,
            settings.subscription_longest_wait_seconds,
            settings.subscription_timeout_seconds,
            settings.subscription_event_days,
        )

    def wait(self, attempts: int) -> timedelta:
        """Return the wait after `attempts` failed ones, twice as long each time."""
        # 2 ** 64 seconds is longer than any limit, and a float still.
        return timedelta(seconds=min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempts - 1, 64)))


class Notifier:
    """Sends what is due until `stop` is called; several threads may share one."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        sender: Sender,
        *,
        base_url: str,
        patience: Patience,
        clock: Clock,
    ) -> None:
        """Take what is sent by, and the FHIR base URL that notifications name."""
        self._database = database
        self._repository = repository
        self._sender = sender
        self._messages = Messages(repository, base_url)
        self._patience = patience
        self._clock = clock
        self._stopping = threading.Event()
        self._swept = float("-inf")
        self._sweeping = threading.Lock()

    def stop(self) -> None:
        """Have `run` end after the request that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Send what is due until `stop`; a database that is away is waited for."""
        while not self._stopping.is_set():
            try:
                is_idle = not self.work_one()
                self._sweep()
            except UnavailableError:
                is_idle = True  # what was claimed is claimed again when its lease has run out
            if is_idle:
                self._stopping.wait(_IDLE_SECONDS)

    def work_one(self) -> bool:
        """Send one notification that is due, or note why none is; False when nothing was due."""
        lease = timedelta(seconds=self._patience.answer_seconds + _MARGIN_SECONDS)
        with self._database.transaction() as transaction:
            held = journal.claim(transaction, lease)
        if held is None:
            return False
        try:
            definition = read_definition(held.resource)
        except InvalidResourceError as error:
            self._move(held, "error", error.message)
            return True
        is_handshake = held.status == "requested"
        try:
            message = self._message(held, definition, is_handshake=is_handshake)
            self._send(definition, message)
        except UnavailableError:
            raise
        except ExchangeError as error:
            self._note_failure(held, error.message, is_final=is_handshake)
        except Exception as error:  # noqa: BLE001 - whatever it is, it counts as an attempt and is not repeated for ever
            _log.exception("a notification of Subscription/%s failed with a fault of the server", held.id)
            self._note_failure(held, f"A fault of the server ({type(error).__name__})", is_final=is_handshake)
        else:
            self._note_success(held, definition, message, is_handshake=is_handshake)
        return True

    def remove_old(self) -> None:
        """Turn off subscriptions whose time is over, and remove events that are too old."""
        now = self._clock.now()
        with self._database.transaction() as transaction:
            over = journal.ended(transaction, now)
        for standing in over:
            with self._database.transaction() as transaction:
                move(self._repository, transaction, standing, "off")
        with self._database.transaction() as transaction:
            journal.forget_events(transaction, now - timedelta(days=self._patience.event_days))

    def _message(self, held: Standing, definition: Definition, *, is_handshake: bool) -> Message:
        now = self._clock.now()
        if is_handshake:
            return self._messages.control(held, definition, "handshake", now)
        with self._database.transaction() as transaction:
            found = self._messages.next(transaction, held, definition, now)
        if found is None and definition.heartbeat_seconds is None:
            return Message("POST", "", None, held.event_count)  # what was due is kept no longer
        return found or self._messages.control(held, definition, "heartbeat", now)

    def _send(self, definition: Definition, message: Message) -> None:
        if not message.url:
            return  # there is nothing that the subscriber may be told
        headers = dict(definition.headers)
        if message.body is not None:
            headers["Content-Type"] = definition.payload or "application/fhir+json"
        seconds = self._patience.answer_seconds
        if definition.timeout_seconds is not None:
            seconds = min(seconds, definition.timeout_seconds)
        self._sender.send(message.method, message.url, headers=headers, body=message.body, seconds=seconds)

    def _note_success(
        self, held: Standing, definition: Definition, message: Message, *, is_handshake: bool
    ) -> None:
        if is_handshake:
            self._move(held, "active")
            return
        with self._database.transaction() as transaction:
            journal.taken(transaction, held, message.last, heartbeat_seconds=definition.heartbeat_seconds)

    def _note_failure(self, held: Standing, reason: str, *, is_final: bool) -> None:
        attempts = held.attempts + 1
        if is_final or attempts >= self._patience.attempts:
            _log.warning("Subscription/%s is in error after %d attempts: %s", held.id, attempts, reason)
            self._move(held, "error", reason)
            return
        with self._database.transaction() as transaction:
            journal.postpone(transaction, held, self._patience.wait(attempts), reason)

    def _move(self, held: Standing, status: str, error: str | None = None) -> None:
        with self._database.transaction() as transaction:
            journal.lock_matching(transaction)
            if journal.hold(transaction, held):
                move(self._repository, transaction, held, status, error)

    def _sweep(self) -> None:
        """Remove what is old every now and then; one thread does."""
        if not self._sweeping.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._swept >= _SWEEP_SECONDS:
                self._swept = time.monotonic()
                self.remove_old()
        finally:
            self._sweeping.release()


class Notifying:
    """The threads of a notifier, from the beginning to the end of a context."""

    def __init__(self, notifier: Notifier, threads: int) -> None:
        """Take the notifier and how many notifications are sent at the same time."""
        self._notifier = notifier
        self._threads = [
            threading.Thread(target=notifier.run, name="notifications", daemon=True) for _ in range(threads)
        ]

    def __enter__(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        """End after the requests that are under way."""
        self._notifier.stop()
        for thread in self._threads:
            thread.join()
