"""The OperationDefinitions of operations that HL7 does not define, and how they come into the repository.

https://hl7.org/fhir/R4/operationdefinition.html. They are resources like any other: found by a search for
the `url` that the CapabilityStatement names, read, included, exported. They are written with the schema (`hie
migrate`, `hie up`) and by nobody else; what the server can do is not a client's to change. Those of HL7 stand
in the specification.
"""

from collections.abc import Sequence
from typing import Final

from fhir_server.operations.operation import OWN, Definition
from fhir_server.operations.parameter import Parameter
from fhir_server.operations.registry import load_operations
from fhir_server.service import Repository
from fhir_server.transaction.entry import Operation
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject

TYPE: Final = "OperationDefinition"


def own_definitions() -> Sequence[Definition]:
    """Return the definitions of the operations that are ours."""
    definitions = (each.definition for each in load_operations())
    return tuple(each for each in definitions if each.url.startswith(OWN))


def reserved() -> frozenset[tuple[str, str]]:
    """Return type and id of the resources that are part of the server."""
    return frozenset((TYPE, each.code) for each in own_definitions())


def publish(repository: Repository, transaction: Transaction) -> None:
    """Store the OperationDefinitions of our own operations; what is stored already makes no new version.

    The requester of `transaction` is the server itself. Raises what a write raises.
    """
    resources = [repository.checked(operation_definition(each), TYPE) for each in own_definitions()]
    groups = [[Operation("PUT", type=TYPE, id=each["id"], resource=each)] for each in resources]
    for result in repository.apply(transaction, groups):
        if isinstance(result, ExchangeError):
            raise result


def operation_definition(definition: Definition) -> JsonObject:
    """Return the OperationDefinition of `definition`."""
    resource: JsonObject = {
        "resourceType": "OperationDefinition",
        "id": definition.code,
        "url": definition.url,
        "name": definition.code.replace("-", "_"),
        "title": f"${definition.code}",
        "status": "active",
        "kind": "operation",
        "description": definition.documentation,
        "affectsState": definition.affects_state,
        "code": definition.code,
    }
    if definition.types:
        resource["resource"] = list(definition.types)
    for level in ("system", "type", "instance"):
        resource[level] = level in definition.levels
    if definition.parameters:
        resource["parameter"] = [_parameter(each) for each in definition.parameters]
    return resource


def _parameter(parameter: Parameter) -> JsonObject:
    made: JsonObject = {
        "name": parameter.name,
        "use": parameter.use,
        "min": parameter.min,
        "max": parameter.max,
    }
    if parameter.documentation:
        made["documentation"] = parameter.documentation
    if parameter.type:
        made["type"] = parameter.type
    if parameter.parts:
        made["part"] = [_parameter(each) for each in parameter.parts]
    return made
