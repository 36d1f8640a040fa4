"""The worker (Celery): delivers after the commit what a transaction promised.

Celery carries, PostgreSQL remembers: the only thing on the broker is a nudge to
look into the outbox, so a lost broker or message loses nothing. Without
`HIE_BROKER_URL` the queue is two tables of the exchange's own database
(docs/adr/0003-broker.md has the measurement).

Jobs (`fhir_server.jobs`) may take minutes and a whole core, and so may the words of what is written
(`fhir_server.full_text`); each is worked in a process of its own, which the worker starts, starts again
and takes with it when it ends.
"""

import logging
import os
import signal
import threading
import time
from contextlib import nullcontext
from typing import Final

from celery import Celery
from celery.schedules import schedule
from celery.signals import beat_embedded_init
from kombu.transport import sqlalchemy as database_transport
from sqlalchemy.engine import make_url

from fhir_server.subscriptions.notifier import Notifying
from hie import wiring
from hie.core import outbox
from hie.core.audit.chaining import Chaining
from hie.core.errors import UnavailableError
from hie.core.garbage import settle
from hie.core.settings import Settings
from hie.processes import Child, follow_parent, lead, when_asked_to_end

DELIVER: Final = "hie.deliver_outbox"
_ROUND_SECONDS: Final = 1.0
_ROUND_ROWS: Final = 200
# So long without a round, though the database answers, and the worker begins anew: after the database
# was away, the clock of kombu's SQLAlchemy transport keeps a channel that is dead for good.
_SILENCE_SECONDS: Final = 40.0
_WORDS_NICENESS: Final = 10

_log = logging.getLogger("hie.worker")


def create(settings: Settings, exchange: "wiring.Exchange", pulse: "Pulse") -> Celery:
    """Return the Celery application with its tasks and clock; `pulse` is told of every round."""
    database_transport.Transport.polling_interval = 0.2
    app = Celery("hie", broker=broker_url(settings, exchange.database_url))
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        broker_connection_retry_on_startup=True,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        beat_schedule_filename=str(settings.var_dir / "worker-clock"),
        beat_schedule={
            "outbox": {
                "task": DELIVER,
                "schedule": schedule(_ROUND_SECONDS),
                "options": {"expires": 30},
            }
        },
    )

    @app.task(name=DELIVER)  # type: ignore[untyped-decorator] # celery carries no types
    def deliver_outbox() -> None:
        delivered = deliver_all(exchange, pulse)
        if delivered:
            _log.info("delivered %d events", delivered)
        _sweep(settings, exchange)

    return app


def deliver_all(exchange: "wiring.Exchange", pulse: "Pulse | None" = None) -> int:
    """Deliver what is due, round after round, until nothing is; return how many events were delivered."""
    total = 0
    while True:
        if pulse is not None:
            pulse.note()
        with exchange.database.transaction() as transaction:
            result = outbox.deliver(
                transaction, exchange.handlers, now=exchange.clock.now(), limit=_ROUND_ROWS
            )
        total += result.delivered
        if result.delivered < _ROUND_ROWS:
            return total


def broker_url(settings: Settings, database_url: str) -> str:
    """Return the broker's URL: the setting, or the database as kombu's SQLAlchemy transport names it."""
    if settings.broker_url:
        return settings.broker_url
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return "sqla+" + url.render_as_string(hide_password=False)


def work(settings: Settings) -> None:
    """Run worker and clock in this process, notifications in its threads, all else apart, until SIGTERM."""
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    # Until Celery has its own handler: what was begun is ended in order.
    signal.signal(signal.SIGTERM, _leave)
    with (
        wiring.build(settings) as exchange,
        _Apart("jobs", "--jobs"),
        _Apart("words", "--words") if settings.full_text else nullcontext(),
        Notifying(exchange.notifier(), settings.subscription_threads),
        Chaining(exchange.auditing),
    ):
        pulse = Pulse(exchange)
        app = create(settings, exchange, pulse)
        # Worker and clock would otherwise both make the transport's tables at the same moment.
        with app.connection_for_write() as connection:
            app.amqp.queues[app.conf.task_default_queue].bind(connection.default_channel).declare()
        if not settings.broker_url:
            pulse.watch()
        lead()
        app.worker_main(
            [
                "worker",
                "--beat",
                "--pool=solo",
                "--loglevel=WARNING",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
            ]
        )


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


@beat_embedded_init.connect  # type: ignore[untyped-decorator] # celery carries no types
def _end_with_the_worker(**_: object) -> None:
    """Let the clock's process end with the worker, also when that is killed."""
    follow_parent()


class Pulse:
    """When the outbox was last looked into; a worker that no longer does, though it could, ends itself."""

    def __init__(self, exchange: "wiring.Exchange") -> None:
        """Take the exchange whose database says whether rounds are possible."""
        self._exchange = exchange
        self._last = time.monotonic()

    def note(self) -> None:
        """Note that a round begins."""
        self._last = time.monotonic()

    def watch(self, silence_seconds: float = _SILENCE_SECONDS) -> None:
        """Watch in a thread from now on; whoever runs the worker starts it again."""
        self.note()
        threading.Thread(target=self._watch, args=(silence_seconds,), name="pulse", daemon=True).start()

    def _watch(self, silence_seconds: float) -> None:
        while True:
            time.sleep(silence_seconds / 10)
            if time.monotonic() - self._last > silence_seconds:
                if self._is_possible():
                    _log.error(
                        "no round for %.0f seconds: the worker ends, to be started anew", silence_seconds
                    )
                    os._exit(1)
                self.note()

    def _is_possible(self) -> bool:
        try:
            with self._exchange.database.transaction() as transaction:
                transaction.connection.execute("SELECT 1")
        except UnavailableError:
            return False
        return True


def work_jobs(settings: Settings) -> None:
    """Work jobs in this process until SIGTERM or SIGINT, `job_threads` at a time."""
    # Each job needs a connection for its step and one for its lease.
    pool = max(settings.database_pool, 2 * settings.job_threads)
    with wiring.build(settings.model_copy(update={"database_pool": pool})) as exchange:
        runners = [exchange.job_runner() for _ in range(settings.job_threads)]

        def stop() -> None:
            for runner in runners:
                runner.stop()

        when_asked_to_end(stop)
        threads = [threading.Thread(target=runner.run, name="jobs") for runner in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def work_words(settings: Settings) -> None:
    """Index words in this process until SIGTERM or SIGINT, where full text is on."""
    # Nobody waits for it: searches look at what is not indexed yet.
    os.nice(_WORDS_NICENESS)
    with wiring.build(settings) as exchange:
        indexer = exchange.words_indexer()
        if indexer is None:
            _log.warning("full text is off (HIE_FULL_TEXT): no words are indexed")
            return

        when_asked_to_end(indexer.stop)
        settle()
        indexer.run()


class _Apart:
    """A child process that does part of the worker's work; started again when it dies."""

    def __init__(self, name: str, option: str) -> None:
        self._child = Child(name, ("worker", option))
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        # The kernel ends the child with the thread that started it (prctl(2), PR_SET_PDEATHSIG),
        # so that one thread starts it and stays.
        self._child.start()
        while not self._ended.wait(_ROUND_SECONDS):
            if self._child.process is not None and self._child.process.poll() is not None:
                _log.warning(
                    "the process of %s ended (%s) and is started again",
                    self._child.name,
                    self._child.process.returncode,
                )
                self._child.start()
        if self._child.process is not None:
            self._child.process.terminate()
            self._child.process.wait()

    def __enter__(self) -> None:
        self._watch.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watch.join()


def _sweep(settings: Settings, exchange: "wiring.Exchange") -> None:
    """Remove consumed nudges, which kombu's SQLAlchemy transport only hides."""
    if settings.broker_url:
        return
    with exchange.database.transaction() as transaction:
        transaction.connection.execute("DELETE FROM kombu_message WHERE NOT visible")
