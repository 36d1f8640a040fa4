"""$expand: https://hl7.org/fhir/R4/valueset-operation-expand.html."""

from typing import Final

from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.operations.terminology import is_available, terminology_of, value_set_of
from hie.core.errors import ParameterValueError
from hie.core.fhir.json import dumps

DEFINITION: Final = Definition(
    code="expand",
    url=f"{HL7}ValueSet-expand",
    levels=frozenset({"type", "instance"}),
    types=("ValueSet",),
    affects_state=False,
    parameters=(
        Parameter("url", "in", 0, "1", "uri", "The canonical of the value set"),
        Parameter("valueSet", "in", 0, "1", "ValueSet", "The value set itself"),
        Parameter("filter", "in", 0, "1", "string", "Text that the concepts must match"),
        Parameter("offset", "in", 0, "1", "integer", "The first concept of the page, from 0"),
        Parameter("count", "in", 0, "1", "integer", "Concepts on a page"),
        Parameter("displayLanguage", "in", 0, "1", "code", "The language of displays"),
        Parameter("return", "out", 1, "1", "ValueSet", "The value set with its expansion"),
    ),
    documentation="The concepts of a value set.",
)


def handle(call: Call) -> Reply:
    """Return the expanded ValueSet; raises what the terminology raises."""
    inputs = call.inputs
    offset, count = inputs.one("offset") or 0, inputs.one("count")
    for name, number in (("offset", offset), ("count", count)):
        if number is not None and number < 0:
            raise ParameterValueError(f"`{name}` is {number}, below 0", expression=inputs.expression(name))
    expanded = terminology_of(call).expand(
        call.transaction,
        value_set_of(call),
        text=inputs.one("filter"),
        offset=offset,
        count=count,
        language=inputs.one("displayLanguage"),
    )
    return Reply(body=dumps(expanded))


OPERATION: Final = Operation(DEFINITION, handle, is_available)
