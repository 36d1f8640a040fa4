"""The `hie` command: one sub-command a file in `hie.commands`."""

import sys
from typing import Final

import typer

from hie.commands import (
    account,
    audit,
    backup,
    client,
    convert,
    encryption,
    gateway,
    keys,
    load,
    migrate,
    relabel,
    restore,
    send,
    serve,
    settings,
    simulate,
    token,
    up,
    worker,
)
from hie.explain import explain
from hie.processes import follow_parent

app: Final = typer.Typer(
    name="hie",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Regional health information exchange: HL7 v2 in, FHIR R4 out, one record for a city.",
)
for module in (
    *(up, serve, gateway, worker, migrate, settings, convert, send, load, simulate),
    *(account, client, token, keys, restore, relabel),
):
    app.command(name=module.__name__.rpartition(".")[2], epilog=module.EXAMPLES)(module.run)

app.add_typer(audit.app, name="audit")
app.add_typer(backup.app, name="backup")
app.add_typer(encryption.app, name="encryption")


def main() -> None:
    """Run the command line; what people can mend becomes one sentence and exit status 1."""
    follow_parent()
    try:
        app()
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        sys.stderr.write(f"hie: {sentence}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
