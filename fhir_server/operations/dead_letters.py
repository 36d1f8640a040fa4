"""$dead-letters of Subscriptions: those in error, and how many events wait for each.

No operation of HL7: what an operator looks at before `$redrive`.
"""

from typing import Final

from fhir_server.operations.operation import OWN, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.subscriptions.inquiry import dead_letters
from hie.core.fhir.json import JsonObject, dumps

DEFINITION: Final = Definition(
    code="dead-letters",
    url=f"{OWN}dead-letters",
    levels=frozenset({"type"}),
    types=("Subscription",),
    affects_state=False,
    parameters=(
        Parameter(
            "subscription",
            "out",
            0,
            "*",
            "",
            "A Subscription in error",
            (
                Parameter("subscription", "out", 1, "1", "Reference", "The Subscription"),
                Parameter("error", "out", 1, "1", "string", "What its endpoint answered last"),
                Parameter("pending", "out", 1, "1", "string", "How many events wait"),
                Parameter("first-event-number", "out", 1, "1", "string", "The first of them"),
                Parameter("since", "out", 0, "1", "instant", "When the server gave up"),
            ),
        ),
    ),
    documentation="Subscriptions in error with the number of events that wait, the longest in error first.",
)


def handle(call: Call) -> Reply:
    """Return Parameters, one for each Subscription in error that the requester may read."""
    parameters: JsonObject = {"resourceType": "Parameters"}
    found = dead_letters(call.server.repository, call.transaction)
    if found:
        parameters["parameter"] = found
    return Reply(body=dumps(parameters))


OPERATION: Final = Operation(DEFINITION, handle)
