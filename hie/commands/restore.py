"""`hie restore`: a backup into a new directory, to its end or to a moment."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = (
    "Examples: hie restore --into var2 · hie restore --into var2 --at 2026-11-22T14:05:00"
    " · then HIE_VAR_DIR=var2 hie up"
)


def run(
    into: Annotated[Path, typer.Option(help="Directory that is made, or is empty")],
    name: Annotated[str, typer.Argument(help="Name of the backup (default: the newest that will do)")] = "",
    at: Annotated[
        datetime | None,
        typer.Option(
            help="Restore what was committed by then, UTC",
            formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S%z"],
        ),
    ] = None,
    timeline: Annotated[int | None, typer.Option(min=1, help="Timeline to follow (default: newest)")] = None,
    wal: Annotated[bool, typer.Option(help="Replay the WAL behind the backup, as far as it goes")] = True,
    user: Annotated[
        str, typer.Option(help="System user of the server (default for root: pgserver or postgres)")
    ] = "",
) -> None:
    """Restore a backup into a new directory; refused unless the backup and its WAL are whole.

    The database is in its sub-directory `postgres`: for the embedded server name the directory as
    HIE_VAR_DIR, any other server takes that sub-directory as its data directory.
    """
    from hie.commands.backup import passphrase, shown_progress
    from hie.core.db import embedded
    from hie.core.db.backup.folder import Folder
    from hie.core.db.backup.restoring import newest_before, restore
    from hie.core.db.backup.tools import find
    from hie.core.db.backup.trees import KEYS
    from hie.core.security_errors import BackupError
    from hie.core.settings import Settings

    if at is not None and not wal:
        raise BackupError("--at needs the WAL; --no-wal leaves it out")
    moment = at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)
    settings = Settings()
    folder = Folder(settings.backups)
    backup = (
        folder.get(name)
        if name
        else folder.get("latest")
        if moment is None
        else newest_before(folder, moment)
    )
    owner = user or embedded.system_user()
    if owner is not None and not user and not backup.is_embedded:
        owner = "postgres"
    secret = passphrase(settings)
    with shown_progress() as progress:
        done = restore(
            find(backup.major, settings.postgresql_programs),
            folder,
            backup,
            into.resolve(),
            moment=moment,
            timeline=timeline,
            follows_wal=wal,
            passphrase=secret,
            user=owner,
            progress=progress,
        )
    last = f", last commit {done.last_commit.isoformat()}" if done.last_commit else ""
    typer.echo(f"{backup.name} is restored into {done.data}{last}")
    if backup.missing or (secret is None and KEYS in {each.name for each in backup.files}):
        typer.echo("Keys were not restored; they must come from where they are kept", err=True)
