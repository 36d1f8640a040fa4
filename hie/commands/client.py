"""`hie client`: registered clients of the authorization server."""

from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = (
    "Examples: hie client · hie client 'City hospital HIS' --auth-method private_key_jwt --jwks keys.json"
    " --scope 'system/*.cruds'"
)


def run(
    name: Annotated[
        str | None, typer.Argument(help="Name of a new client; without it all are listed")
    ] = None,
    auth_method: Annotated[
        str,
        typer.Option(
            help="none (apps without a secret), client_secret_basic, client_secret_post, private_key_jwt"
        ),
    ] = "none",
    scope: Annotated[
        list[str] | None, typer.Option(help="A SMART scope that it may ask for; several times for several")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Where codes are sent to; several times for several")
    ] = None,
    launch_uri: Annotated[str, typer.Option(help="Where the portal opens it from a chart")] = "",
    jwks: Annotated[
        Path | None, typer.Option(help="File of its public keys (JWK Set)", exists=True, dir_okay=False)
    ] = None,
    jwks_uri: Annotated[str, typer.Option(help="URL of its public keys (HIE_CLIENT_JWKS_SOURCES)")] = "",
    organization: Annotated[str, typer.Option(help="Id of the Organization that it works for")] = "",
    client_id: Annotated[str, typer.Option("--id", help="client_id (default: a random one)")] = "",
    introspect: Annotated[
        bool, typer.Option("--introspect", help="May ask what tokens of others are good for")
    ] = False,
) -> None:
    """Register a client and print its client_id, and its secret if it has one; or list all clients."""
    from hie import wiring
    from hie.core.fhir.json import loads
    from hie.core.security_errors import RegistrationError
    from hie.core.settings import Settings
    from hie.identity import clients

    with wiring.build(Settings()) as exchange, exchange.database.transaction() as transaction:
        if name is None:
            for each in clients.list_clients(transaction):
                state = " (disabled)" if each.is_disabled else ""
                typer.echo(f"{each.id}\t{each.name}{state}\t{each.auth_method}\t{' '.join(each.scopes)}")
            return
        keys = loads(jwks.read_bytes()) if jwks is not None else None
        if keys is not None and not isinstance(keys, dict):
            raise RegistrationError(f"{jwks} holds no JWK Set")
        if jwks_uri:
            exchange.identity.published.check(jwks_uri)
        registration = clients.Registration(
            name,
            auth_method,
            tuple(scope or ()),
            redirect_uris=tuple(redirect_uri or ()),
            grant_types=clients.usual_grant_types(auth_method, has_pages=bool(redirect_uri)),
            jwks=keys,
            jwks_uri=jwks_uri,
            launch_uri=launch_uri,
            organization_id=organization,
            may_introspect=introspect,
            client_id=client_id,
        )
        made, secret = clients.register(transaction, registration, now=exchange.clock.now())
        shown = f"client_id: {made.id}" + (f"\nclient_secret: {secret}" if secret else "")
    typer.echo(shown)
