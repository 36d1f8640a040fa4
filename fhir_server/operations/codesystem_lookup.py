"""$lookup: https://hl7.org/fhir/R4/codesystem-operation-lookup.html."""

from typing import Final

from fhir_server.operations.codings import CODE, CODING, SYSTEM, read_codings, written
from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.operations.terminology import is_available, terminology_of
from hie.core.fhir.json import JsonObject, dumps
from hie.core.ports import Coding, Designation

_DESIGNATION: Final = (
    Parameter("language", "out", 0, "1", "code", "Its language"),
    Parameter("use", "out", 0, "1", "Coding", "What it is for"),
    Parameter("value", "out", 1, "1", "string", "Its text"),
)
_PROPERTY: Final = (
    Parameter("code", "out", 1, "1", "code", "The property"),
    Parameter("value", "out", 0, "1", "Element", "Its value"),
)

DEFINITION: Final = Definition(
    code="lookup",
    url=f"{HL7}CodeSystem-lookup",
    levels=frozenset({"type"}),
    types=("CodeSystem",),
    affects_state=False,
    parameters=(
        CODE,
        SYSTEM,
        Parameter("version", "in", 0, "1", "string", "The version of the system"),
        CODING,
        Parameter("displayLanguage", "in", 0, "1", "code", "The language of the display"),
        Parameter("property", "in", 0, "*", "code", "Properties to return; the usual ones unless given"),
        Parameter("name", "out", 1, "1", "string", "The name of the code system"),
        Parameter("version", "out", 0, "1", "string", "Its version"),
        Parameter("display", "out", 1, "1", "string", "The display of the concept"),
        Parameter("designation", "out", 0, "*", "", "Another name of the concept", _DESIGNATION),
        Parameter("property", "out", 0, "*", "", "A property of the concept", _PROPERTY),
    ),
    documentation="What a code system says of a code.",
)


def handle(call: Call) -> Reply:
    """Return what is known of the code; raises NotFoundError for one that is not known."""
    inputs = call.inputs
    found = terminology_of(call).look_up(
        call.transaction,
        read_codings(inputs)[0],
        version=inputs.one("version"),
        language=inputs.one("displayLanguage"),
        properties=inputs.all("property"),
    )
    parameters: list[JsonObject] = [{"name": "name", "valueString": found.code_system_name}]
    if found.version is not None:
        parameters.append({"name": "version", "valueString": found.version})
    parameters.append({"name": "display", "valueString": found.display})
    parameters += [{"name": "designation", "part": _designation(each)} for each in found.designations]
    parameters += [
        {
            "name": "property",
            "part": [{"name": "code", "valueCode": name}, {"name": "value", **_value(value)}],
        }
        for name, value in found.properties
    ]
    return Reply(body=dumps({"resourceType": "Parameters", "parameter": parameters}))


def _designation(designation: Designation) -> list[JsonObject]:
    parts: list[JsonObject] = []
    if designation.language is not None:
        parts.append({"name": "language", "valueCode": designation.language})
    if designation.use is not None:
        parts.append({"name": "use", "valueCoding": written(designation.use)})
    return [*parts, {"name": "value", "valueString": designation.value}]


def _value(value: Coding | str | bool | int) -> JsonObject:  # noqa: FBT001 - one of the types of a property
    match value:
        case Coding():
            return {"valueCoding": written(value)}
        case bool():
            return {"valueBoolean": value}
        case int():
            return {"valueInteger": value}
        case _:
            return {"valueString": value}


OPERATION: Final = Operation(DEFINITION, handle, is_available)
