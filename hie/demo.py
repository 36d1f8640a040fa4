"""The demo city that a first start fills: messages through the gateway, history in bulk.

What was filled is remembered in the database, so that a second start keeps it;
an interrupted filling goes on with the same seed and last day, and what the
gateway already has it does not store twice.
"""

from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlmodel import select

from hie import wiring
from hie.core.ports import DailyCount
from hie.core.settings import Settings
from hie.simulator import demo, history
from hie.simulator.run import City, send, write_truth
from hie.simulator.tables import DemoCity

_CONNECTIONS: Final = 8
_ROWS: Final = 5000


def fill(settings: Settings, url: str, console: Console, *, should_stop: Callable[[], bool]) -> None:
    """Fill the demo city into the exchange that runs on `settings`, unless it is complete.

    `should_stop` is asked between the parts; a filling that was stopped goes
    on at the next start.
    """
    with wiring.build(settings, database_url=url) as exchange:
        known = _remembered(exchange)
        if known.filled_at is not None:
            when = known.filled_at.astimezone(settings.zone)
            console.print(f"[green]✓[/] demo city (filled {when:%Y-%m-%d %H:%M})")
            return
        city = demo.city(end=known.last_day)
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            _load_history(exchange, city, progress)
            if should_stop():
                return
            _send(settings, city, progress)
            if should_stop():
                return
        truth = settings.var_dir / "demo"
        write_truth(city, truth)
        with exchange.database.transaction() as transaction:
            known.filled_at = exchange.clock.now()
            transaction.session.merge(known)
    console.print(f"[green]✓[/] demo city of {demo.PEOPLE} people; who is who stands in {truth}")


def _remembered(exchange: wiring.Exchange) -> DemoCity:
    with exchange.database.transaction() as transaction:
        known = transaction.session.exec(select(DemoCity)).first()
        if known is None:
            today = exchange.clock.now().astimezone(exchange.settings.zone).date()
            known = DemoCity(seed=demo.SEED, last_day=today)
            transaction.session.add(known)
    return known


def _load_history(exchange: wiring.Exchange, city: City, progress: Progress) -> None:
    task = progress.add_task("five years of daily counts", total=None)

    def counted() -> Iterator[DailyCount]:
        for number, row in enumerate(history.rows(city), 1):
            if number % _ROWS == 0:
                progress.update(task, completed=number)
            yield row

    with exchange.database.transaction() as transaction:
        rows = exchange.daily_counts.load(transaction, counted())
    progress.update(task, completed=rows, total=rows)


def _send(settings: Settings, city: City, progress: Progress) -> None:
    task = progress.add_task("HL7 v2 messages by MLLP", total=None)
    send(
        city,
        host=settings.mllp_host,
        port=settings.mllp_port,
        connections=_CONNECTIONS,
        progress=lambda done: progress.update(task, completed=done),
    )
