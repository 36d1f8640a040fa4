"""$events of a Subscription: what it was told of, or should have been.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-events.html
"""

from typing import Final

from fhir_server.operations.operation import Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.subscriptions.definition import CONTENTS
from fhir_server.subscriptions.inquiry import MOST_EVENTS, events
from hie.core.errors import ParameterValueError
from hie.core.fhir.json import dumps

DEFINITION: Final = Definition(
    code="events",
    url="http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-events",
    levels=frozenset({"instance"}),
    types=("Subscription",),
    affects_state=False,
    parameters=(
        Parameter("eventsSinceNumber", "in", 0, "1", "string", "The first event number"),
        Parameter("eventsUntilNumber", "in", 0, "1", "string", "The last event number"),
        Parameter("content", "in", 0, "1", "code", "empty, id-only or full-resource, at most what it has"),
        Parameter("return", "out", 1, "1", "Bundle", "A notification of these events"),
    ),
    documentation=f"Events of the past, at most {MOST_EVENTS}: ask on from the last number.",
)
_MOST_DIGITS: Final = 18


def handle(call: Call) -> Reply:
    """Return the notification; raises NotFoundError, ParameterValueError."""
    content = call.inputs.one("content", "code")
    if content is not None and content not in CONTENTS:
        message = f"The content `{content}` is not one of {', '.join(CONTENTS)}"
        raise ParameterValueError(message, expression=call.inputs.expression("content"))
    bundle = events(
        call.server.repository,
        call.transaction,
        call.server.base_url,
        call.resource_id or "",
        first=_number(call, "eventsSinceNumber") or 1,
        last=_number(call, "eventsUntilNumber"),
        content=None if content is None else CONTENTS[content],
        now=call.server.clock.now(),
    )
    return Reply(body=dumps(bundle))


def _number(call: Call, name: str) -> int | None:
    text = call.inputs.one(name, "string")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        message = f"`{text}` is no event number"
        raise ParameterValueError(message, expression=call.inputs.expression(name))
    return int(text)


OPERATION: Final = Operation(DEFINITION, handle)
