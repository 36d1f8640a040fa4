"""`hie token`: an access token of a registered client, for who administers this machine."""

from typing import Annotated, Final

import typer

EXAMPLES: Final = "Example: hie token --client demo --scope 'system/*.rs'"


def run(
    client: Annotated[str, typer.Option(help="client_id of a registered client (see hie client)")],
    scope: Annotated[
        list[str], typer.Option(help="A SMART scope that the client registered; several times for several")
    ],
) -> None:
    """Print an access token that the client would get on its own behalf; it lives for minutes."""
    from authlib.oauth2.rfc6749 import OAuth2Error

    from hie import wiring
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        try:
            answer = exchange.identity.token_for_client(client, " ".join(scope))
        except OAuth2Error as error:
            typer.echo(f"hie token: {error.description}", err=True)
            raise typer.Exit(1) from error
    typer.echo(answer.body["access_token"])
