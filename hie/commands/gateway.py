"""`hie gateway`: the HL7 v2 listener."""

from typing import Annotated, Final

import typer

EXAMPLES: Final = "Example: HIE_MLLP_PORT=2576 hie gateway --processes 4"


def run(
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes on the port (default: HIE_GATEWAY_PROCESSES)")
    ] = None,
) -> None:
    """Listen for HL7 v2 over MLLP and store what arrives."""
    from hie.core import garbage

    garbage.spare()

    from hie import wiring
    from hie.core import logs
    from hie.core.settings import Settings
    from hie.processes import Child, Supervisor

    settings = Settings()
    logs.configure(settings.log_level)
    count = processes or settings.gateway_processes
    if count == 1:
        with wiring.build(settings) as exchange:
            gateway = exchange.gateway()
            garbage.settle()
            gateway.run()
        return
    # The embedded server is started once here, not by each child at the same time.
    wiring.url_of(settings)
    supervisor = Supervisor(
        [Child(f"gateway {number + 1}", ("gateway", "--processes", "1")) for number in range(count)],
        note=lambda line: typer.echo(line, err=True),
    )
    supervisor.start()
    reason = supervisor.watch()
    supervisor.stop()
    if reason:
        typer.echo(f"hie gateway: {reason}", err=True)
        raise typer.Exit(1)
