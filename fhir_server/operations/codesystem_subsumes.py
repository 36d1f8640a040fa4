"""$subsumes: https://hl7.org/fhir/R4/codesystem-operation-subsumes.html."""

from typing import Final

from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.outputs import parameters_reply
from fhir_server.operations.parameter import Parameter
from fhir_server.operations.terminology import is_available, terminology_of
from hie.core.errors import MissingParameterError, ParameterValueError
from hie.core.fhir.json import JsonObject, loads

DEFINITION: Final = Definition(
    code="subsumes",
    url=f"{HL7}CodeSystem-subsumes",
    levels=frozenset({"type", "instance"}),
    types=("CodeSystem",),
    affects_state=False,
    parameters=(
        Parameter("codeA", "in", 0, "1", "code", "The code that may subsume the other"),
        Parameter("codeB", "in", 0, "1", "code", "The other code"),
        Parameter("system", "in", 0, "1", "uri", "Their system, at type level"),
        Parameter("version", "in", 0, "1", "string", "The version of the system"),
        Parameter("codingA", "in", 0, "1", "Coding", "The code with its system"),
        Parameter("codingB", "in", 0, "1", "Coding", "The other code with its system"),
        Parameter("outcome", "out", 1, "1", "code", "equivalent, subsumes, subsumed-by or not-subsumed"),
    ),
    documentation="How one code of a code system relates to another.",
)


def handle(call: Call) -> Reply:
    """Return how A relates to B; raises what the terminology raises."""
    system = _system(call)
    systems, codes = [], []
    for name in ("A", "B"):
        coding: JsonObject = call.inputs.one(f"coding{name}") or {}
        code = call.inputs.one(f"code{name}") or coding.get("code")
        found = coding.get("system") or system
        if code is None or found is None:
            raise MissingParameterError(f"Code {name} is needed with its system", expression=f"code{name}")
        systems.append(found)
        codes.append(code)
    if systems[0] != systems[1]:
        raise ParameterValueError("The two codes are of different systems", expression="codingB")
    outcome = terminology_of(call).subsumes(
        call.transaction, systems[0], codes[0], codes[1], version=call.inputs.one("version")
    )
    return parameters_reply([("outcome", "valueCode", outcome)])


def _system(call: Call) -> str | None:
    if call.resource_id is None:
        given: str | None = call.inputs.one("system")
        return given
    stored = call.server.repository.read(call.transaction, "CodeSystem", call.resource_id)
    url: str | None = loads(stored.body or b"{}").get("url")
    return url


OPERATION: Final = Operation(DEFINITION, handle, is_available)
