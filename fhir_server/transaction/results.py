"""What became of a Bundle, in the words of `hie.core.ports.ResourceStore`."""

from fhir_server.transaction.group import Group
from hie.core.errors import InternalError
from hie.core.ports import EntryResult, TransactionResult


def result_of(group: Group) -> TransactionResult:
    """Return the outcomes of a group that was applied, or its error."""
    if group.error is not None:
        return TransactionResult((), group.error)
    if len(group.outcomes) != len(group.operations):
        return TransactionResult((), InternalError("The Bundle was not applied"))
    return TransactionResult(
        tuple(
            EntryResult(outcome.status, outcome.type, outcome.id, outcome.version, outcome.is_changed)
            for outcome in group.outcomes
        )
    )
