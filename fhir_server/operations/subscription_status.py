"""$status of Subscriptions: how one, some or all of them stand.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-status.html
"""

from typing import Final

from fhir_server.operations.operation import Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.subscriptions.inquiry import statuses
from hie.core.fhir.json import JsonObject, dumps

DEFINITION: Final = Definition(
    code="status",
    url="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status",
    levels=frozenset({"type", "instance"}),
    types=("Subscription",),
    affects_state=False,
    parameters=(
        Parameter("id", "in", 0, "*", "id", "At type level: the Subscriptions that are asked for; else all"),
        Parameter("status", "in", 0, "*", "code", "At type level: only Subscriptions in these statuses"),
        Parameter("return", "out", 1, "1", "Bundle", "A searchset of their statuses"),
    ),
    documentation="How Subscriptions stand: status, number of events, last error.",
)


def handle(call: Call) -> Reply:
    """Return a searchset of statuses; raises NotFoundError for an id that is asked for and not there."""
    is_instance = call.resource_id is not None
    ids = [call.resource_id] if call.resource_id is not None else call.inputs.all("id")
    among = () if is_instance else call.inputs.all("status")
    server = call.server
    entries = statuses(server.repository, call.transaction, server.base_url, ids, among)
    bundle: JsonObject = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    if entries:
        bundle["entry"] = [
            {"fullUrl": each["fullUrl"], "resource": each["resource"], "search": {"mode": "match"}}
            for each in entries
        ]
    return Reply(body=dumps(bundle))


OPERATION: Final = Operation(DEFINITION, handle)
