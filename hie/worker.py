"""The worker (Celery): delivers after the commit what a transaction promised.

Celery carries, PostgreSQL remembers: the only thing on the broker is a nudge to
look into the outbox, so a lost broker or message loses nothing. Without
`HIE_BROKER_URL` the queue is two tables of the exchange's own database
(docs/adr/0003-broker.md has the measurement).
"""

import logging
from typing import Final

from celery import Celery
from celery.schedules import schedule
from kombu.transport import sqlalchemy as database_transport
from sqlalchemy.engine import make_url

from hie import wiring
from hie.core import outbox
from hie.core.settings import Settings

DELIVER: Final = "hie.deliver_outbox"
_ROUND_SECONDS: Final = 1.0
_ROUND_ROWS: Final = 200

_log = logging.getLogger("hie.worker")


def create(settings: Settings, exchange: "wiring.Exchange") -> Celery:
    """Return the Celery application with its tasks and clock."""
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
        delivered = deliver_all(exchange)
        if delivered:
            _log.info("delivered %d events", delivered)
        _sweep(settings, exchange)

    return app


def deliver_all(exchange: "wiring.Exchange") -> int:
    """Deliver what is due, round after round, until nothing is; return how many events were delivered."""
    total = 0
    while True:
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
    """Run worker and clock in this process until SIGTERM."""
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    with wiring.build(settings) as exchange:
        app = create(settings, exchange)
        # Worker and clock would otherwise both make the transport's tables at the same moment.
        with app.connection_for_write() as connection:
            app.amqp.queues[app.conf.task_default_queue].bind(connection.default_channel).declare()
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


def _sweep(settings: Settings, exchange: "wiring.Exchange") -> None:
    """Remove consumed nudges, which kombu's SQLAlchemy transport only hides."""
    if settings.broker_url:
        return
    with exchange.database.transaction() as transaction:
        transaction.connection.execute("DELETE FROM kombu_message WHERE NOT visible")
