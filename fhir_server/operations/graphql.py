"""$graphql as an operation of FHIR: in the CapabilityStatement, and as an entry of a batch.

https://hl7.org/fhir/R4/resource-operation-graphql.html. Its result is a Binary of JSON. The routes that speak
GraphQL itself are those of `fhir_server.graphql.router`.
"""

from base64 import b64encode
from typing import Final

from fhir_server.graphql.service import Instance, Request, answer
from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from hie.core.fhir.json import dumps

DEFINITION: Final = Definition(
    code="graphql",
    url=f"{HL7}Resource-graphql",
    levels=frozenset({"system", "instance"}),
    types=(),
    affects_state=False,
    parameters=(
        Parameter("query", "in", 1, "1", "string", "The GraphQL document"),
        Parameter("result", "out", 1, "1", "Binary", "The answer, application/json"),
    ),
    documentation="Selects parts of resources, and of those they refer to or are referred to by.",
)


def handle(call: Call) -> Reply:
    """Return the Binary; raises the errors of `fhir_server.graphql.service.answer`."""
    instance = None
    if call.resource_type is not None and call.resource_id is not None:
        instance = Instance(call.resource_type, call.resource_id)
    request = Request(call.inputs.one("query", "string"))
    result = answer(request, call.server, call.transaction, instance=instance, may_write=not call.is_get)
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json",
        "data": b64encode(dumps(result)).decode(),
    }
    return Reply(body=dumps(binary))


OPERATION: Final = Operation(DEFINITION, handle)
