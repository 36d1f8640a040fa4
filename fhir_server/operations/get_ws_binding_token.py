"""$get-ws-binding-token: a token by which a websocket is bound to Subscriptions.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-get-ws-binding-token.html
"""

from typing import Final

from fhir_server.operations.operation import Call, Definition, Operation, Reply
from fhir_server.operations.outputs import parameters_reply
from fhir_server.operations.parameter import Parameter
from fhir_server.store.content import instant
from fhir_server.subscriptions.inquiry import give_token
from fhir_server.subscriptions.websocket import websocket_url

DEFINITION: Final = Definition(
    code="get-ws-binding-token",
    url="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-get-ws-binding-token",
    levels=frozenset({"type", "instance"}),
    types=("Subscription",),
    affects_state=False,
    parameters=(
        Parameter("id", "in", 0, "*", "id", "At type level: the Subscriptions to bind to; else all"),
        Parameter("token", "out", 1, "1", "string", "To be sent as bind-with-token"),
        Parameter("expiration", "out", 1, "1", "dateTime", "When the binding ends unless it is renewed"),
        Parameter("subscription", "out", 0, "*", "string", "The Subscriptions that the token is good for"),
        Parameter("websocket-url", "out", 1, "1", "url", "Where to connect"),
    ),
    documentation="A token for a websocket, which then tells of these Subscriptions.",
)


def handle(call: Call) -> Reply:
    """Return token, expiration and URL; raises NotFoundError, RequestError for another channel."""
    ids = [call.resource_id] if call.resource_id is not None else call.inputs.all("id")
    token = give_token(call.server.repository, call.transaction, ids, call.server.clock.now())
    return parameters_reply(
        [
            ("token", "valueString", token.text),
            ("expiration", "valueDateTime", instant(token.expires_at)),
            *(("subscription", "valueString", each) for each in token.subscription_ids),
            ("websocket-url", "valueUrl", websocket_url(call.server.base_url)),
        ]
    )


OPERATION: Final = Operation(DEFINITION, handle)
