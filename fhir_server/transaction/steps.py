"""What a group of operations came to, as steps of the audit trail: one for each resource it named."""

from collections.abc import Iterator, Sequence
from typing import Final

from fhir_server.transaction.entry import Operation
from fhir_server.transaction.plan import Outcome
from hie.core.audit.record import Action
from hie.core.audit.trail import Step
from hie.core.errors import ExchangeError

# https://hl7.org/fhir/R4/valueset-restful-interaction.html
_INTERACTIONS: Final[dict[str, tuple[str, Action]]] = {
    "POST": ("create", "C"),
    "PUT": ("update", "U"),
    "PATCH": ("patch", "U"),
    "DELETE": ("delete", "D"),
}


def steps_of(operations: Sequence[Operation], result: Sequence[Outcome] | ExchangeError) -> Iterator[Step]:
    """Yield the steps of one group, which was applied whole or failed with its error."""
    if isinstance(result, ExchangeError):
        for operation in operations:
            interaction, action = _INTERACTIONS[operation.method]
            yield Step(
                interaction,
                action,
                target=f"{operation.type}/{operation.id}" if operation.id else operation.type,
                query=_criteria(operation),
                status=result.status,
                error=type(result).__name__,
            )
        return
    for operation, outcome in zip(operations, result, strict=False):
        interaction, action = _INTERACTIONS[operation.method]
        for made in (outcome, *outcome.others):
            yield Step(
                interaction,
                action,
                target=_target(made),
                query=_criteria(operation),
                status=made.status,
                is_change=made.is_changed,
            )


def _target(made: Outcome) -> str:
    if not made.id:
        return made.type
    return f"{made.type}/{made.id}" + (f"/_history/{made.version}" if made.version else "")


def _criteria(operation: Operation) -> str:
    return "" if operation.criteria is None else operation.criteria.query
