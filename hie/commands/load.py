"""`hie load`: FHIR files into the repository."""

from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = "Example: hie load synthea/ patients.ndjson.gz"


def run(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files or folders: FHIR JSON, Bundle or NDJSON, also .gz", exists=True),
    ],
    batch: Annotated[int, typer.Option(min=1, help="Resources or Bundles in one transaction")] = 50,
) -> None:
    """Load FHIR resources, Bundles and NDJSON; what fails is named, the rest is stored.

    Loading the same files again changes nothing. The exit status is 1 if
    anything failed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from fhir_server.load import load
    from hie import wiring
    from hie.core.settings import Settings

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        wiring.build(Settings()) as exchange,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("resources", total=None)
        report = load(
            exchange.database,
            exchange.repository,
            paths,
            on_progress=lambda done: progress.update(task, completed=done),
            batch=batch,
            imports=exchange.imports,
        )
    for failure in report.failures:
        typer.echo(f"{failure.place}: {failure.message}", err=True)
    typer.echo(
        f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged,"
        f" {len(report.failures)} failed"
    )
    raise typer.Exit(1 if report.failures else 0)
