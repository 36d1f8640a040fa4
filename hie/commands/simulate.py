"""`hie simulate`: the synthetic city speaks HL7 v2."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = (
    "Examples: hie simulate --people 500 --days 7 --out var/city · "
    "hie simulate --people 500 --days 7 --seed 5 --to 127.0.0.1:2575"
)


def run(
    people: Annotated[int, typer.Option(min=1, help="Inhabitants")] = 3000,
    days: Annotated[int, typer.Option(min=1, help="Days of care, the last one is --end")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes")] = 4101,
    hospitals: Annotated[int, typer.Option(min=1, help="Hospitals of three tiers")] = 12,
    clinics: Annotated[int, typer.Option(min=0, help="Township and community clinics")] = 26,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (default: today)")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Send to HOST:PORT by MLLP")] = None,
    out: Annotated[Path | None, typer.Option(help="Write messages and truth into this folder")] = None,
    connections: Annotated[int, typer.Option(min=1, help="MLLP connections at most")] = 8,
) -> None:
    """Generate a synthetic city; send its messages by MLLP, or write them with the truth, or both."""
    from zoneinfo import ZoneInfo

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from hie.core.settings import Settings
    from hie.simulator.run import City, send, write

    if to is None and out is None:
        raise typer.BadParameter("give --to HOST:PORT, --out DIR, or both")
    last: date = end.date() if end else datetime.now(ZoneInfo(Settings().time_zone)).date()
    city = City.build(people=people, hospitals=hospitals, clinics=clinics, days=days, seed=seed, end=last)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    is_clean = True
    with Progress(*columns, console=Console(stderr=True)) as progress:
        if out is not None:
            writing = progress.add_task("written", total=None)
            write(city, out, progress=lambda done: progress.update(writing, completed=done))
        if to is not None:
            host, _, port = to.rpartition(":")
            if not host or not port.isdecimal():
                raise typer.BadParameter(f"{to} is not HOST:PORT", param_hint="--to")
            sending = progress.add_task("acknowledged", total=None)
            report = send(
                city,
                host=host,
                port=int(port),
                connections=connections,
                progress=lambda done: progress.update(sending, completed=done),
            )
            is_clean = not report.refused
            typer.echo(f"{report.accepted} accepted, {report.refused} refused", err=True)
            for control_id, text in report.reasons[:20]:
                typer.echo(f"{control_id}: {text}", err=True)
    raise typer.Exit(0 if is_clean else 1)
