"""`hie migrate`: bring the database to the schema of this version, with the resources that belong to it."""

from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from hie.core.settings import Settings

EXAMPLES: Final = "Example: HIE_DATABASE_URL=postgresql://hie@db/hie hie migrate"


def run() -> None:
    """Bring the database to the schema of this version (Alembic)."""
    from hie import wiring
    from hie.core.settings import Settings

    settings = Settings()
    revision = migrate(settings, wiring.url_of(settings))
    typer.echo(f"The database is at revision {revision}.")


def migrate(settings: "Settings", url: str) -> str:
    """Bring the database at `url` to this version, the server's own resources too; return the revision."""
    from hie import wiring
    from hie.migrations import upgrade

    revision = upgrade(url)
    with wiring.build(settings, database_url=url) as exchange:
        exchange.publish()
    return revision
