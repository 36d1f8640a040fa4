"""`hie settings`: every setting with its value, variable and meaning."""

from typing import Final

import typer
from rich.console import Console
from rich.table import Table

EXAMPLES: Final = "Example: HIE_PORT=8080 hie settings"

# A URL may carry a password; only the part after it is printed.
_SECRET: Final = ("database_url", "broker_url")


def run() -> None:
    """Print every setting: variable, value, default, meaning."""
    from hie.core.settings import Settings

    current = Settings()
    table = Table("Variable", "Value", "Meaning", show_lines=False)
    for name, field in Settings.model_fields.items():
        value = getattr(current, name)
        shown = "" if value is None else str(value)
        if name in _SECRET and "@" in shown:
            shown = shown.partition("://")[0] + "://…@" + shown.rpartition("@")[2]
        mark = " *" if name in current.model_fields_set else ""
        table.add_row(f"HIE_{name.upper()}", shown + mark, field.description or "")
    Console(width=None if typer.get_text_stream("stdout").isatty() else 200).print(table)
    typer.echo("* set in the environment or .env")
