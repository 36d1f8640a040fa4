"""$closure: https://hl7.org/fhir/R4/conceptmap-operation-closure.html."""

from typing import Final

from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.operations.terminology import is_available, terminology_of
from hie.core.errors import ParameterValueError
from hie.core.fhir.json import dumps
from hie.core.ports import Coding

DEFINITION: Final = Definition(
    code="closure",
    url=f"{HL7}ConceptMap-closure",
    levels=frozenset({"system"}),
    types=("ConceptMap",),
    affects_state=True,
    parameters=(
        Parameter("name", "in", 1, "1", "string", "The closure table"),
        Parameter("concept", "in", 0, "*", "Coding", "Concepts to add to it"),
        Parameter("version", "in", 0, "1", "string", "Send all entries since this version"),
        Parameter("return", "out", 1, "1", "ConceptMap", "The new entries"),
    ),
    documentation="Keeps a client's table of which concepts subsume which.",
)


def handle(call: Call) -> Reply:
    """Return the new entries; raises what the terminology raises."""
    concepts = []
    for position, each in enumerate(call.inputs.all("concept")):
        if not each.get("system") or not each.get("code"):
            raise ParameterValueError(
                f"Concept {position} has no system or no code", expression=call.inputs.expression("concept")
            )
        concepts.append(Coding(each["system"], each["code"], each.get("display")))
    found = terminology_of(call).close(
        call.transaction, call.inputs.one("name"), concepts, version=call.inputs.one("version")
    )
    return Reply(body=dumps(found))


OPERATION: Final = Operation(DEFINITION, handle, is_available)
