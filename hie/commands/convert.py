"""`hie convert`: HL7 v2 in, FHIR out, without a server or a database."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

EXAMPLES: Final = "Examples: hie convert message.hl7 · cat message.hl7 | hie convert -"


def run(
    file: Annotated[str, typer.Argument(help="A file of HL7 v2 messages, or - for standard input")],
    zone: Annotated[
        str | None, typer.Option(help="Time zone of times without offset (default: HIE_TIME_ZONE)")
    ] = None,
    charset: Annotated[str, typer.Option(help="Character set of messages without MSH-18")] = "utf-8",
    pretty: Annotated[bool, typer.Option(help="Indent the Bundle of a single message")] = False,
    report: Annotated[
        bool, typer.Option(help="Print what was not mapped, a line a field, on standard error")
    ] = True,
) -> None:
    """Convert HL7 v2 messages to FHIR transaction Bundles on standard output.

    One message gives one Bundle; several give one a line (NDJSON). A message
    that cannot be converted is named on standard error and the exit status is 1.
    """
    from hie import wiring
    from hie.core.settings import Settings

    settings = Settings() if zone is None else Settings(time_zone=zone)
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        typer.echo(f"hie convert: {file}: {error.strerror}", err=True)
        raise typer.Exit(1) from error
    is_complete = wiring.convert(
        raw,
        settings=settings,
        charset=charset,
        pretty=pretty,
        out=sys.stdout.buffer.write,
        note=(lambda line: typer.echo(line, err=True)) if report else (lambda _line: None),
        fail=lambda line: typer.echo(line, err=True),
    )
    raise typer.Exit(0 if is_complete else 1)
