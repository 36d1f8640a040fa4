"""The OperationDefinitions of operations that HL7 does not define, as resources that are made, not stored.

https://hl7.org/fhir/R4/operationdefinition.html. Those of HL7 stand in the specification.
"""

from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from fhir_server.interactions.answer import json_answer
from fhir_server.interactions.negotiation import check_format
from fhir_server.interactions.route import interaction
from fhir_server.operations.operation import OWN, Definition, Operation
from fhir_server.operations.parameter import Parameter
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject, dumps


def mount(router: APIRouter, operations: Iterable[Operation]) -> None:
    """Add ``GET [base]/OperationDefinition/hie-[code]`` for those of `operations` that are our own."""
    texts = {
        each.definition.code: dumps(operation_definition(each.definition))
        for each in operations
        if each.definition.url.startswith(OWN)
    }

    # One route, because every request is compared with it.
    @interaction(router, "/OperationDefinition/hie-{code}", name="operation definition")
    def own_definition(request: Request, code: str) -> Response:
        check_format(request)
        text = texts.get(code)
        if text is None:
            raise NotFoundError(f"`OperationDefinition/hie-{code}` does not exist")
        return json_answer(request, text)


def operation_definition(definition: Definition) -> JsonObject:
    """Return the OperationDefinition of `definition`."""
    resource: JsonObject = {
        "resourceType": "OperationDefinition",
        "id": f"hie-{definition.code}",
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
