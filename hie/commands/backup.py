"""`hie backup`: make, list, verify and prune backups; stream the WAL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from hie.core.db.backup.making import Contents
    from hie.core.db.backup.tools import Progress
    from hie.core.settings import Settings

EXAMPLES: Final = "Examples: hie backup make · hie backup verify latest · hie backup prune --keep 14"

app: Final = typer.Typer(no_args_is_help=True, help="Make, list, verify and prune backups; stream the WAL.")


@app.command(epilog="Examples: hie backup make · HIE_BACKUP_FOLDER=/mnt/backup hie backup make --full")
def make(
    full: Annotated[
        bool, typer.Option("--full", help="Full, even where an incremental one would do")
    ] = False,
) -> None:
    """Make a backup of the database and of what belongs to it under HIE_VAR_DIR, while all of it runs.

    Incremental where the server summarizes its WAL (PostgreSQL 17 and later) and there is one to rest on.
    """
    from hie import wiring
    from hie.core.clock import SystemClock
    from hie.core.db import embedded
    from hie.core.db.backup.folder import Folder
    from hie.core.db.backup.making import ask
    from hie.core.db.backup.making import make as make_backup
    from hie.core.db.backup.tools import find
    from hie.core.settings import Settings

    settings = Settings()
    url = wiring.url_of(settings)
    if settings.database_url is None:
        embedded.keep_for_backups(url)
    tools = find(ask(url).major, settings.postgresql_programs)
    with shown_progress() as progress:
        made = make_backup(
            tools,
            url,
            Folder(settings.backups),
            contents(settings),
            now=SystemClock().now(),
            is_embedded=settings.database_url is None,
            is_full=full,
            progress=progress,
        )
    rests = f" on {made.parent}" if made.parent else ""
    typer.echo(f"{made.name}\t{made.kind}{rests}\twith {', '.join(made.trees) or 'no files'}")
    if made.missing:
        typer.echo(f"Not in it: {', '.join(made.missing)}", err=True)


@app.command(epilog="Example: hie backup wal")
def wal() -> None:
    """Stream the WAL into HIE_BACKUP_FOLDER until stopped; `hie up` does with HIE_BACKUP_WAL=true."""
    from hie import wiring
    from hie.core.db import embedded
    from hie.core.db.backup.folder import Folder
    from hie.core.db.backup.making import ask
    from hie.core.db.backup.tools import find
    from hie.core.db.backup.wal import receive
    from hie.core.settings import Settings

    settings = Settings()
    url = wiring.url_of(settings)
    if settings.database_url is None:
        embedded.keep_for_backups(url)
    receive(find(ask(url).major, settings.postgresql_programs), url, Folder(settings.backups).wal)


@app.command(epilog="Example: hie backup stop-wal")
def stop_wal() -> None:
    """Have the embedded server keep no WAL for backups any more; a receiver that is gone fills its disk."""
    from hie import wiring
    from hie.core.db import embedded
    from hie.core.db.backup.wal import SLOT
    from hie.core.errors import ConfigurationError
    from hie.core.settings import Settings

    settings = Settings()
    if settings.database_url is not None:
        raise ConfigurationError("The server of HIE_DATABASE_URL is its administrator's")
    embedded.forget_backups(wiring.url_of(settings), SLOT)


@app.command("list", epilog="Example: hie backup list")
def list_all() -> None:
    """List the complete backups, oldest first: name, kind, what it rests on, server, time."""
    from hie.core.db.backup.folder import Folder
    from hie.core.settings import Settings

    for each in Folder(Settings().backups).all():
        made, rests_on = each.made.isoformat(), each.parent or "-"
        typer.echo(f"{each.name}\t{each.kind}\t{rests_on}\tPostgreSQL {each.major}\t{made}")


@app.command(epilog="Examples: hie backup verify · hie backup verify 20261123T003000Z")
def verify(name: Annotated[str, typer.Argument(help="Name of the backup")] = "latest") -> None:
    """Check that a backup, what it rests on and the WAL behind it are whole; exit status 1 if not."""
    from hie.core.db.backup.folder import Folder
    from hie.core.db.backup.tools import find
    from hie.core.db.backup.verification import verify as check
    from hie.core.db.backup.wal import shown
    from hie.core.settings import Settings

    settings = Settings()
    folder = Folder(settings.backups)
    backup = folder.get(name)
    with shown_progress() as progress:
        sound = check(find(backup.major, settings.postgresql_programs), folder, backup, progress=progress)
    behind = "no WAL behind it" if sound.end is None else f"WAL behind it up to {shown(sound.end)}"
    typer.echo(f"{backup.name}: whole, {len(sound.chain)} in its chain, {behind}")


@app.command(epilog="Example: hie backup prune --keep 14")
def prune(keep: Annotated[int, typer.Option(min=1, help="How many of the newest backups to keep")]) -> None:
    """Remove older backups and the WAL that only they needed; what the kept ones rest on stays."""
    from hie.core.db.backup.folder import Folder
    from hie.core.db.backup.pruning import prune as remove
    from hie.core.settings import Settings

    done = remove(Folder(Settings().backups), keep)
    typer.echo(f"{len(done.backups)} backups and {done.segments} WAL segments removed")


def contents(settings: "Settings") -> "Contents":
    """Return what of this machine belongs to a backup besides the database."""
    from hie.core.db.backup.making import Contents

    return Contents(
        trees={
            "jobs": settings.jobs,
            "audit": settings.audit_logs,
            "anchors.jsonl": settings.anchors,
            "demo": settings.var_dir / "demo",
        },
        keys=settings.var_dir / "keys",  # HIE_KEY_FOLDER elsewhere is left to who chose it
        passphrase=passphrase(settings),
    )


def passphrase(settings: "Settings") -> bytes | None:
    """Return the passphrase in the file of the setting, without the end of its line."""
    path: Path | None = settings.backup_passphrase
    return None if path is None else path.read_bytes().rstrip(b"\r\n")


@contextmanager
def shown_progress() -> Iterator["Progress"]:
    """Give what shows progress on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("beginning", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
