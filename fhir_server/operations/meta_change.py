"""What $meta-add and $meta-delete share: a versioned write of a resource whose labels are changed.

The change is made of the content as it is when the row is locked, so that nothing that others write
meanwhile is lost. Labels that are as they should be already make no version.
"""

from collections.abc import Callable

from fhir_server.operations.meta import RETURN
from fhir_server.operations.operation import Call, Definition, Handle, Reply
from fhir_server.operations.outputs import parameters_reply
from fhir_server.operations.parameter import Parameter
from fhir_server.transaction.entry import Operation as Write
from fhir_server.transaction.patch import Patch
from hie.core.fhir.json import JsonObject, loads


def definition(code: str, url: str, documentation: str) -> Definition:
    """Return the definition of an operation that takes a meta and changes the labels of a resource."""
    return Definition(
        code=code,
        url=url,
        levels=frozenset({"instance"}),
        types=(),
        affects_state=True,
        parameters=(Parameter("meta", "in", 1, "1", "Meta", documentation), RETURN),
        documentation=documentation,
    )


def changing(change: Callable[[JsonObject, JsonObject], JsonObject], interaction: str) -> Handle:
    """Return what answers with the meta of the resource after `change` of its meta by the given one.

    `interaction` is what the access policy is asked about. The handle raises NotFoundError,
    DeletedError, ForbiddenError, and ConflictError when others write the resource all the time.
    """

    def handle(call: Call) -> Reply:
        given: JsonObject = call.inputs.one("meta")

        def apply(resource: JsonObject) -> JsonObject:
            return {**resource, "meta": change(resource.get("meta", {}), given)}

        repository, resource_type = call.server.repository, call.resource_type or ""
        # What is deleted, or may not be read, is answered as a read of it.
        repository.read(call.transaction, resource_type, call.resource_id or "")
        made = repository.apply_one(
            call.transaction,
            Write("PATCH", type=resource_type, id=call.resource_id, patch=Patch(apply, interaction)),
        )
        after: JsonObject = loads(call.server.body_of(call.transaction, made) or b"{}")
        return parameters_reply([("return", "valueMeta", after.get("meta", {}))])

    return handle
