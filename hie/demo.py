"""The demo city that a first start fills: messages through the gateway, history in bulk.

What was filled is remembered in the database, so that a second start keeps it;
an interrupted filling goes on with the same seed and last day, and what the
gateway already has it does not store twice.
"""

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlmodel import select

from hie import wiring
from hie.core.fhir.json import JsonObject
from hie.core.ports import DailyCount, SurveillanceSite
from hie.core.settings import Settings
from hie.simulator import demo, history
from hie.simulator.divisions import BY_CODE, CITY, PROVINCE
from hie.simulator.mllp import SendReport
from hie.simulator.run import City, send, write_truth
from hie.simulator.segments import facility
from hie.simulator.tables import DemoCity
from hie.simulator.vendors import vendors
from hl7_gateway.sender import Sender

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
        city = demo.city(end=known.last_day, until=known.until)
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            publish_directory(exchange, city)
            _load_history(exchange, city, progress)
            if should_stop():
                return
            report = _send(settings, city, progress)
            if should_stop():
                return
        console.print(f"[green]✓[/] {report.accepted} messages acknowledged, {report.refused} refused")
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
            now = exchange.clock.now().astimezone(exchange.settings.zone)
            known = DemoCity(seed=demo.SEED, last_day=now.date(), until=now)
            transaction.session.add(known)
    return known


def publish_directory(exchange: wiring.Exchange, city: City) -> None:
    """Store the institutions under the identifiers that their messages will name, and where they report."""
    entries: list[JsonObject] = []
    sites: list[SurveillanceSite] = []
    for institution in city.institutions:
        named = facility(vendors()[institution.vendor], institution.code)
        sender = Sender(
            "",
            institution.code,
            exchange.settings.zone,
            identifier_base=exchange.settings.identifier_base,
            facility_id=named[1] if isinstance(named, tuple) else "",
        )
        system = sender.system("Organization")
        division = BY_CODE[institution.division].name
        resource = {
            "resourceType": "Organization",
            "identifier": [{"system": system, "value": institution.code}],
            "active": True,
            "type": [{"text": institution.tier}],
            "name": institution.name,
            "address": [{"country": "CN", "state": PROVINCE, "city": CITY, "district": division}],
        }
        url = f"Organization?identifier={quote(system, safe=':/')}%7C{institution.code}"
        entries.append({"resource": resource, "request": {"method": "PUT", "url": url}})
        sites.append(SurveillanceSite(institution.code, institution.name, institution.division, division))
    bundle: JsonObject = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    with exchange.database.transaction() as transaction:
        (result,) = exchange.repository.transact(transaction, [bundle])
        if result.error is not None:
            raise result.error
        exchange.daily_counts.register(transaction, sites)


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


def _send(settings: Settings, city: City, progress: Progress) -> SendReport:
    task = progress.add_task("HL7 v2 messages by MLLP", total=None)
    return send(
        city,
        host=settings.mllp_host,
        port=settings.mllp_port,
        connections=_CONNECTIONS,
        progress=lambda done: progress.update(task, completed=done),
    )
