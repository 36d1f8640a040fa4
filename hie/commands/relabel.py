"""`hie relabel`: the security labels of what is stored, by the table as it is now."""

from typing import Final

import typer

EXAMPLES: Final = "Examples: hie relabel · HIE_LABEL_RULES=/etc/hie/labels.yaml hie relabel"


def run() -> None:
    """Put security labels on what is stored, after their table changed; while everything runs.

    Interrupted, it is begun again. No label is taken away.
    """
    from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
    from hie import wiring
    from hie.core.settings import Settings
    from hie.policy.label_spread import relabel

    def note(kind: str, seen: int, labelled: int) -> None:
        typer.echo(f"{kind}: {labelled:,} of {seen:,} labelled")

    with wiring.build(Settings()) as exchange:
        kinds = [kind for kind in R4_RESOURCE_TYPES if kind != "AuditEvent"]
        relabel(
            exchange.database,
            exchange.repository,
            exchange.labelling,
            exchange.label_spread,
            kinds,
            note,
        )
