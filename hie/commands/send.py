"""`hie send`: an MLLP client."""

from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = "Example: hie send messages/*.hl7 --to 127.0.0.1:2575"


def run(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files of HL7 v2 messages, any line ends", exists=True, dir_okay=False),
    ],
    to: Annotated[str, typer.Option(help="HOST:PORT of an MLLP listener")] = "127.0.0.1:2575",
    connections: Annotated[int, typer.Option(min=1, help="Connections at once")] = 1,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for one acknowledgment")] = 30.0,
    tls: Annotated[bool, typer.Option(help="Connect by TLS")] = False,
    ca: Annotated[
        Path | None, typer.Option(help="Certificates that the listener's is signed by (PEM)", exists=True)
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="Our certificate (PEM)", exists=True)] = None,
    key: Annotated[Path | None, typer.Option(help="The key of our certificate (PEM)", exists=True)] = None,
    quiet: Annotated[bool, typer.Option(help="Print only what was not accepted, and the sums")] = False,
) -> None:
    """Send every message of FILES and print each acknowledgment.

    The exit status is 1 if any message was not answered AA or CA.
    """
    from hl7_gateway.client import send_files
    from hl7_gateway.mllp.tls import client_context

    host, _, port = to.rpartition(":")
    if not host or not port.isdecimal():
        raise typer.BadParameter(f"{to} is not HOST:PORT", param_hint="--to")
    accepted = refused = 0
    context = client_context(ca, certificate, key) if tls or ca or certificate else None
    for answer in send_files(
        files, host=host, port=int(port), connections=connections, timeout=timeout, tls=context
    ):
        if answer.is_accepted:
            accepted += 1
        else:
            refused += 1
        if not (quiet and answer.is_accepted):
            typer.echo(f"{answer.code:2} {answer.control_id} {answer.source} {answer.text}".rstrip())
    typer.echo(f"{accepted} accepted, {refused} not accepted", err=True)
    raise typer.Exit(1 if refused else 0)
