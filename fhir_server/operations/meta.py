"""$meta: the profiles, tags and security labels of a resource, of a type, or of everything.

https://hl7.org/fhir/R4/resource-operation-meta.html. Of one resource, or of a version of it, its meta
as it is stored; of a type and of the system the labels in use by current resources, without versionId
and lastUpdated.
"""

from typing import Final

from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.outputs import parameters_reply
from fhir_server.operations.parameter import Parameter
from hie.core.fhir.json import JsonObject, loads

RETURN: Final = Parameter("return", "out", 1, "1", "Meta", "The meta of the resource, or the labels in use")

DEFINITION: Final = Definition(
    code="meta",
    url=f"{HL7}Resource-meta",
    levels=frozenset({"system", "type", "instance"}),
    types=(),
    affects_state=False,
    parameters=(RETURN,),
    documentation="Profiles, tags and security labels of a resource or of a version of it, or those in use"
    " by the resources of a type or of the system.",
    takes_version=True,
)


def handle(call: Call) -> Reply:
    """Return the meta; raises NotFoundError or DeletedError for a resource that is not there."""
    repository, transaction = call.server.repository, call.transaction
    if call.resource_type is None or call.resource_id is None:
        return parameters_reply([("return", "valueMeta", repository.labels(transaction, call.resource_type))])
    if call.version is not None:
        stored = repository.vread(transaction, call.resource_type, call.resource_id, call.version)
    else:
        stored = repository.read(transaction, call.resource_type, call.resource_id)
    resource: JsonObject = loads(stored.body or b"{}")
    return parameters_reply([("return", "valueMeta", resource["meta"])])


OPERATION: Final = Operation(DEFINITION, handle)
