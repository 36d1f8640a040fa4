"""The code that a terminology operation is about, however its inputs give it.

https://hl7.org/fhir/R4/terminology-service.html: as `code` and `system`, as a Coding, or as a
CodeableConcept.
"""

from typing import Final

from fhir_server.operations.inputs import Inputs
from fhir_server.operations.parameter import Parameter
from hie.core.errors import MissingParameterError
from hie.core.fhir.json import JsonObject
from hie.core.ports import Coding

CODE: Final = Parameter("code", "in", 0, "1", "code", "The code; `system` is needed with it")
SYSTEM: Final = Parameter("system", "in", 0, "1", "uri", "The system of `code`")
CODING: Final = Parameter("coding", "in", 0, "1", "Coding", "Code and system")
CONCEPT: Final = Parameter("codeableConcept", "in", 0, "1", "CodeableConcept", "Codes of which one suffices")


def read_codings(inputs: Inputs) -> list[Coding]:
    """Return the codings that `inputs` give, at least one; raises MissingParameterError."""
    given: list[JsonObject] = []
    if "code" in inputs:
        given.append(
            {"system": inputs.one("system"), "code": inputs.one("code"), "display": inputs.one("display")}
        )
    given += inputs.all("coding")
    for concept in inputs.all("codeableConcept"):
        given += concept.get("coding", ())
    found = [
        Coding(each["system"], each["code"], each.get("display"))
        for each in given
        if each.get("system") and each.get("code")
    ]
    if not found:
        raise MissingParameterError("A code is needed with its system", expression="code")
    return found


def written(coding: Coding) -> JsonObject:
    """Return `coding` as JSON."""
    made = {"system": coding.system, "code": coding.code}
    return made if coding.display is None else {**made, "display": coding.display}
