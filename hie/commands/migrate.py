"""`hie migrate`: bring the database to the schema of this version."""

from typing import Final

import typer

EXAMPLES: Final = "Example: HIE_DATABASE_URL=postgresql://hie@db/hie hie migrate"


def run() -> None:
    """Bring the database to the schema of this version (Alembic)."""
    from hie import wiring
    from hie.core.settings import Settings
    from hie.migrations import upgrade

    revision = upgrade(wiring.url_of(Settings()))
    typer.echo(f"The database is at revision {revision}.")
