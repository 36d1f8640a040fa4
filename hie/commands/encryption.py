"""`hie encryption`: the key-encryption keys, their rotation and the end of old ones."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from hie import wiring

EXAMPLES: Final = (
    "Examples: hie encryption list · hie encryption rotate · hie encryption drop 20260101-1a2b3c4d"
)

app: Final = typer.Typer(
    no_args_is_help=True, help="List, rotate and drop the key-encryption keys; encrypt what is stored."
)


@app.command(name="list", epilog="Example: hie encryption list")
def list_keys() -> None:
    """Print the key-encryption keys, oldest first, and how many data keys each wraps."""
    from hie import wiring
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        with exchange.database.reading() as transaction:
            states = exchange.keys.key_encryption.state(transaction)
        for state in states:
            mark = "current" if state.is_current else "old"
            typer.echo(
                f"{state.id}\t{state.provider}\t{mark}\t{state.created_at:%Y-%m-%d}"
                f"\t{state.data_keys:,} data keys"
            )


@app.command(epilog="Examples: hie encryption rotate · hie encryption rotate --to 2027")
def rotate(
    to: Annotated[
        str, typer.Option(help="Id of a key that the provider has, where it makes none itself")
    ] = "",
) -> None:
    """Make a new key the current one and wrap all data keys by it, while everything runs.

    What is encrypted stays as it is. Interrupted, it goes on with `rewrap`.
    """
    from hie import wiring
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        with exchange.database.transaction() as transaction:
            key_id = exchange.keys.key_encryption.rotate(transaction, to or None)
        typer.echo(f"{key_id} is the current key")
        _rewrap(exchange)


@app.command(epilog="Example: hie encryption rewrap")
def rewrap() -> None:
    """Wrap the data keys of old keys by the current one."""
    from hie import wiring
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        _rewrap(exchange)


@app.command(epilog="Example: hie encryption apply")
def apply() -> None:
    """Begin the job that encrypts or decrypts what is stored, as HIE_ENCRYPTION and HIE_CRYPTO say.

    The worker does it while everything runs; the operator's page shows how far it is. What is written
    meanwhile is already so. Have all processes run with the same settings first.
    """
    from fhir_server.bulk.resealing import KIND
    from fhir_server.jobs.service import Jobs
    from hie import wiring
    from hie.core.settings import Settings

    settings = Settings()
    with wiring.build(settings) as exchange, exchange.database.transaction() as transaction:
        jobs = Jobs(settings.base_url.rstrip("/"), settings.jobs, exchange.clock)
        accepted = jobs.begin(transaction, kind=KIND, request="hie encryption apply", parameters={})
    typer.echo(f"begun as the job {accepted.headers['Content-Location'].rpartition('/')[2]}")


@app.command(epilog="Example: hie encryption drop 20260101-1a2b3c4d")
def drop(
    key_id: Annotated[str, typer.Argument(help="Id of an old key that wraps nothing any more")],
) -> None:
    """Destroy an old key for good; backups from before its rotation can then no longer be read."""
    from hie import wiring
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        exchange.keys.key_encryption.drop(exchange.database, key_id)
    typer.echo(f"{key_id} is destroyed")


def _rewrap(exchange: "wiring.Exchange") -> None:
    count = 0
    while done := exchange.keys.key_encryption.rewrap(exchange.database):
        count += done
    typer.echo(f"{count:,} data keys wrapped anew")
