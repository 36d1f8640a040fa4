"""$redrive of a Subscription in error: it is active again, and told of all that waits.

No operation of HL7. The client can do the same by an update to `requested`; this one is for the operator,
who can also leave out events that an endpoint refuses for ever.
"""

from typing import Final

from fhir_server.operations.operation import OWN, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.subscriptions.inquiry import redrive
from hie.core.errors import Issue, outcome
from hie.core.fhir.json import dumps

DEFINITION: Final = Definition(
    code="redrive",
    url=f"{OWN}redrive",
    levels=frozenset({"instance"}),
    types=("Subscription",),
    affects_state=True,
    parameters=(
        Parameter("skip", "in", 0, "1", "unsignedInt", "How many of the events that wait are left out"),
        Parameter("return", "out", 1, "1", "OperationOutcome", "How many events are sent now"),
    ),
    documentation="Sends what waits for a Subscription in error, in order.",
)


def handle(call: Call) -> Reply:
    """Return an OperationOutcome; raises NotFoundError, ConflictError where it is not in error."""
    skip = call.inputs.one("skip", "unsignedInt") or 0
    moved = redrive(call.server.repository, call.transaction, call.resource_id or "", skip=skip)
    message = f"`Subscription/{moved.id}` is active; {moved.pending} events are sent now"
    return Reply(body=dumps(outcome([Issue("information", "informational", message)])))


OPERATION: Final = Operation(DEFINITION, handle)
