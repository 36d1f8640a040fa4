"""$validate-code of ValueSet and CodeSystem.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html,
https://hl7.org/fhir/R4/codesystem-operation-validate-code.html.
"""

from typing import Final

from fhir_server.operations.codings import CODE, CODING, CONCEPT, SYSTEM, read_codings
from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.outputs import parameters_reply
from fhir_server.operations.parameter import Parameter
from fhir_server.operations.terminology import is_available, terminology_of, value_set_of
from hie.core.errors import MissingParameterError
from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.ports import CodeValidation, Coding

_DISPLAY: Final = Parameter("display", "in", 0, "1", "string", "The display of the code, to be checked too")
_OUTPUTS: Final = (
    Parameter("result", "out", 1, "1", "boolean", "Whether the code is valid"),
    Parameter("message", "out", 0, "1", "string", "What is wrong with it"),
    Parameter("display", "out", 0, "1", "string", "The recommended display"),
)

OF_VALUE_SET: Final = Definition(
    code="validate-code",
    url=f"{HL7}ValueSet-validate-code",
    levels=frozenset({"type", "instance"}),
    types=("ValueSet",),
    affects_state=False,
    parameters=(
        Parameter("url", "in", 0, "1", "uri", "The canonical of the value set"),
        Parameter("valueSet", "in", 0, "1", "ValueSet", "The value set itself"),
        CODE,
        SYSTEM,
        _DISPLAY,
        CODING,
        CONCEPT,
        *_OUTPUTS,
    ),
    documentation="Whether a code, or one of a concept, is in a value set.",
)
OF_CODE_SYSTEM: Final = Definition(
    code="validate-code",
    url=f"{HL7}CodeSystem-validate-code",
    levels=frozenset({"type", "instance"}),
    types=("CodeSystem",),
    affects_state=False,
    parameters=(
        Parameter("url", "in", 0, "1", "uri", "The canonical of the code system"),
        CODE,
        _DISPLAY,
        CODING,
        CONCEPT,
        *_OUTPUTS,
    ),
    documentation="Whether a code, or one of a concept, is in a code system.",
)


def in_value_set(call: Call) -> Reply:
    """Return whether one of the codes is in the value set; raises what the terminology raises."""
    return _reply(call, read_codings(call.inputs), value_set_of(call))


def in_code_system(call: Call) -> Reply:
    """Return whether one of the codes is in its code system; raises what the terminology raises."""
    inputs = call.inputs
    url: str | None = inputs.one("url")
    if call.resource_id is not None:
        stored = call.server.repository.read(call.transaction, "CodeSystem", call.resource_id)
        url = loads(stored.body or b"{}").get("url")
    if "code" in inputs:
        if url is None:
            raise MissingParameterError("A code is needed with the `url` of its system", expression="url")
        return _reply(call, [Coding(url, inputs.one("code"), inputs.one("display"))], None)
    return _reply(call, [each for each in read_codings(inputs) if url in (None, each.system)], None)


def _reply(call: Call, codings: list[Coding], value_set: str | JsonObject | None) -> Reply:
    validation = CodeValidation(is_valid=False, message="None of the codes is of the code system")
    for coding in codings:
        validation = terminology_of(call).validate_code(call.transaction, coding, value_set=value_set)
        if validation.is_valid:
            break
    values: list[tuple[str, str, Json]] = [("result", "valueBoolean", validation.is_valid)]
    if validation.message is not None:
        values.append(("message", "valueString", validation.message))
    if validation.display is not None:
        values.append(("display", "valueString", validation.display))
    return parameters_reply(values)


OPERATIONS: Final = (
    Operation(OF_VALUE_SET, in_value_set, is_available),
    Operation(OF_CODE_SYSTEM, in_code_system, is_available),
)
