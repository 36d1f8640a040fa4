"""`hie audit`: verify, export, send and prune the audit trail."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = "Example: hie audit verify --anchors /mnt/worm/anchors.jsonl"

app: Final = typer.Typer(no_args_is_help=True, help="Verify, export, send and prune the audit trail.")

_Moment = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]


@app.command(epilog=EXAMPLES)
def verify(
    anchors: Annotated[
        Path | None, typer.Option(help="File of anchors (default: HIE_AUDIT_ANCHORS)", exists=True)
    ] = None,
) -> None:
    """Check every record of the trail; exit status 1 and a line for each finding if one is not as it was."""
    from hie import wiring
    from hie.core.audit.anchors import read_file
    from hie.core.audit.verification import verify
    from hie.core.settings import Settings

    settings = Settings()
    with wiring.build(settings) as exchange:
        if exchange.auditing.is_on:
            exchange.auditing.collector.run()
        with exchange.database.transaction() as transaction:
            transaction.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            transaction.connection.execute("SET LOCAL statement_timeout = 0")
            made = verify(
                transaction,
                read_file(anchors or settings.anchors),
                progress=lambda count: typer.echo(f"{count:,} records ...", err=True),
            )
    for finding in made.findings:
        where = f"{finding.seq:,}" + (f" to {finding.until:,}" if finding.until != finding.seq else "")
        typer.echo(f"{finding.what} at {where}: {finding.text}")
    typer.echo(
        f"{made.count:,} records, {made.first:,} to {made.last:,}, {made.anchors:,} anchors:"
        f" {'intact' if made.is_intact else 'NOT INTACT'}; the last hash is {made.last_hash.hex()}"
    )
    if not made.is_intact:
        raise typer.Exit(1)


@app.command(epilog="Example: hie audit export --patient p1 --since 2026-01-01 > p1.ndjson")
def export(
    patient: Annotated[str, typer.Option(help="Id of the Patient concerned")] = "",
    agent: Annotated[str, typer.Option(help="Who: Practitioner/1, Patient/1, an account or a client")] = "",
    since: _Moment = None,
    before: _Moment = None,
) -> None:
    """Print the trail as AuditEvents, one a line, oldest first; times are UTC."""
    from hie import wiring
    from hie.core.audit.event import render
    from hie.core.audit.queries import Wanted, read
    from hie.core.fhir.json import dumps
    from hie.core.settings import Settings

    wanted = Wanted()
    if patient:
        wanted.patient(patient)
    if agent:
        wanted.agent(agent)
    if since is not None:
        wanted.since(since.replace(tzinfo=UTC))
    if before is not None:
        wanted.before(before.replace(tzinfo=UTC))
    with wiring.build(Settings()) as exchange:
        behind = None
        while True:
            with exchange.database.reading() as transaction:
                found = read(transaction, wanted, behind=behind, limit=1_000, is_descending=False)
            for each in found:
                sys.stdout.buffer.write(dumps(render(each.body)) + b"\n")
            if not found:
                break
            behind = found[-1].place


@app.command(epilog="Example: hie audit syslog --after 120000")
def syslog(
    after: Annotated[int | None, typer.Option(min=0, help="Send again what follows this record")] = None,
) -> None:
    """Send what is chained to the receiver of HIE_AUDIT_SYSLOG, as the worker does all the time."""
    from hie import wiring
    from hie.core.errors import ConfigurationError
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        exporter = exchange.auditing.exporter()
        if exporter is None:
            raise ConfigurationError("HIE_AUDIT_SYSLOG names no receiver")
        if after is not None:
            exporter.restart(after)
        exchange.auditing.collector.run()
        sent = exporter.run()
        exporter.close()
    typer.echo(f"{sent:,} records sent")


@app.command(epilog="Example: HIE_AUDIT_RETENTION_DAYS=1096 hie audit prune")
def prune() -> None:
    """Drop the months that HIE_AUDIT_RETENTION_DAYS no longer keeps, as the worker does every hour."""
    from hie import wiring
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        count = exchange.auditing.prune()
        exchange.auditing.collector.run()
    typer.echo(f"{count} months dropped")
