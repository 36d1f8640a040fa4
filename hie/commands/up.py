"""`hie up`: the whole exchange on this machine, with its demo city."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from hie.core.settings import Settings
    from hie.processes import Child

EXAMPLES: Final = "Example: hie up --no-demo"


def run(
    demo: Annotated[bool, typer.Option(help="Fill the demo city when the database is new")] = True,
) -> None:
    """Start the database, the web server, the gateway and the worker; fill the demo city on first start.

    Ctrl-C stops everything; the data stays under HIE_VAR_DIR.
    """
    from rich.console import Console

    from hie import demo as city
    from hie import wiring
    from hie.commands.migrate import migrate
    from hie.core.db import embedded
    from hie.core.settings import Settings
    from hie.processes import Supervisor, require_free, wait_until_listening

    console = Console(stderr=True, highlight=False)
    settings = Settings()
    require_free(settings.host, settings.port, "HTTP", "HIE_PORT")
    require_free(settings.mllp_host, settings.mllp_port, "MLLP", "HIE_MLLP_PORT")
    with console.status("Starting PostgreSQL …"):
        url = wiring.url_of(settings)
    where = "" if settings.database_url else f" (embedded, {settings.var_dir}/postgres)"
    console.print(f"[green]✓[/] PostgreSQL{where}")
    with console.status("Migrating the schema …"):
        revision = migrate(settings, url)
    console.print(f"[green]✓[/] schema at revision {revision}")

    os.environ["HIE_DATABASE_URL"] = url
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_empty(settings.var_dir / "metrics"))
    logs = settings.var_dir / "log"
    supervisor = Supervisor(_children(settings, logs), note=console.print)

    def revive() -> None:
        if settings.database_url is None and not embedded.is_running(settings.var_dir / "postgres"):
            console.print("PostgreSQL ended and is started again; what was committed is there")
            embedded.start(settings.var_dir / "postgres")

    supervisor.start()
    try:
        with console.status("Starting web server, gateway and worker …"):
            reason = wait_until_listening(
                supervisor, [(settings.host, settings.port), (settings.mllp_host, settings.mllp_port)]
            )
        if reason is None:
            console.print(f"[green]✓[/] web server, gateway, worker (logs in {logs})")
            # the city's hospitals have no certificates
            if demo and settings.mllp_certificate is None and not supervisor.is_stopping:
                city.fill(settings, url, console, should_stop=lambda: supervisor.is_stopping)
        if reason is None and not supervisor.is_stopping:
            _welcome(settings, url, console)
            reason = supervisor.watch(revive)
    finally:
        console.print("Stopping …")
        supervisor.stop()
        if settings.database_url is None:
            embedded.stop(settings.var_dir / "postgres")
        console.print("Stopped. The data stays; start again with the same command.")
    if reason:
        console.print(f"[red]hie up:[/] {reason}")
        raise typer.Exit(1)


def _children(settings: "Settings", logs: Path) -> "list[Child]":
    """Return the processes of the exchange, each with its log."""
    from hie.processes import Child

    children = [Child(name, (name,), log=logs / f"{name}.log") for name in ("serve", "gateway", "worker")]
    if settings.backup_wal:
        children.append(Child("backup wal", ("backup", "wal"), log=logs / "backup-wal.log"))
    return children


def _empty(folder: Path) -> Path:
    """Return `folder`, made and emptied: the metrics of processes that are gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _welcome(settings: "Settings", url: str, console: "Console") -> None:
    from hie import demo_accounts

    base_url, host, port, mllp_port = settings.base_url, settings.host, settings.port, settings.mllp_port
    # `make run` starts it out of an environment that the reader's shell does not look into.
    hie = "hie" if shutil.which("hie") else os.path.relpath(sys.argv[0])
    demo_accounts.offer(settings, url, console, hie=hie)
    typer.echo(
        f"""
  Portal  门户   http://{host}:{port}/
  FHIR    R4     {base_url}
  HL7 v2  MLLP   {host}:{mllp_port}

  Try first:
    {hie} simulate --people 50 --days 3 --seed 7 --to {host}:{mllp_port}     a small city sends its messages
    {hie} convert message.hl7                                        one message to a FHIR Bundle
    curl '{base_url}/metadata'

  Ctrl-C stops everything.
"""
    )
