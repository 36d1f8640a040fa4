"""`hie serve`: the HTTP server."""

from typing import Final

EXAMPLES: Final = "Example: HIE_PORT=8080 hie serve"


def run() -> None:
    """Serve HTTP: the FHIR repository, the portal, /health and /metrics."""
    from hie.core import garbage

    garbage.spare()

    from hie.app import serve
    from hie.core.settings import Settings

    serve(Settings())
