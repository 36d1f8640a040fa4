"""`hie keys`: the keys that tokens are signed with."""

from typing import Annotated, Final

import typer

EXAMPLES: Final = "Examples: hie keys · hie keys --rotate"


def run(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Replace them now; tokens that the old ones signed stay good")
    ] = False,
) -> None:
    """List the keys that verify tokens, oldest first; they are replaced by age in any case."""
    from hie import wiring
    from hie.core.settings import Settings

    with wiring.build(Settings()) as exchange:
        if rotate:
            exchange.identity.keys.rotate()
        for key in exchange.identity.keys.published()["keys"]:
            typer.echo(f"{key['alg']}\t{key['kid']}")
