"""`hie convert`: HL7 v2 in, FHIR out, without a server or a database."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from hie.core.settings import Settings

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
    from hie.core.settings import Settings
    from hl7_gateway.er7.charset import codec

    settings = Settings() if zone is None else Settings(time_zone=zone)
    if codec(charset) is None:
        raise typer.BadParameter(f"{charset} is not a character set", param_hint="--charset")
    raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    is_complete = _convert(raw, settings, charset=charset, pretty=pretty, report=report)
    raise typer.Exit(0 if is_complete else 1)


def _convert(raw: bytes, settings: "Settings", *, charset: str, pretty: bool, report: bool) -> bool:
    """Write a Bundle for each message of `raw`; return whether every one was converted."""
    from hie.conversion import engine as new_engine
    from hie.core.clock import SystemClock
    from hie.core.errors import ExchangeError
    from hie.core.fhir.json import dumps, dumps_pretty
    from hl7_gateway.er7.batch import read_batch
    from hl7_gateway.er7.reader import read
    from hl7_gateway.senders import Senders

    batch = read_batch(raw)
    for stray in batch.strays:
        typer.echo(f"line {stray.line}: {len(stray.content)} bytes belong to no message", err=True)
    if not batch.messages:
        typer.echo("hie convert: no line begins with MSH", err=True)
        return False
    engine, senders, now = new_engine(), Senders(settings), SystemClock().now()
    write = dumps_pretty if pretty and len(batch.messages) == 1 else dumps
    failures = 0
    for number, content in enumerate(batch.messages, 1):
        place = f"message {number}: " if len(batch.messages) > 1 else ""
        try:
            message = read(content, default_charset=charset)
            conversion = engine.convert(message, senders.of(message, content), received=now)
        except ExchangeError as error:
            failures += 1
            at = f"{error.location}: " if error.location else ""
            typer.echo(f"{place}{at}{error.message}", err=True)
            continue
        sys.stdout.buffer.write(write(conversion.bundle) + b"\n")
        if report:
            for note in (*message.notes, *conversion.report.notes):
                typer.echo(f"{place}{note}", err=True)
            for lost in conversion.report.unmapped:
                typer.echo(f"{place}{lost.location}: not mapped: {lost.reason}", err=True)
    sys.stdout.buffer.flush()
    return not failures
