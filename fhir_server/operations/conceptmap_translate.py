"""$translate: https://hl7.org/fhir/R4/conceptmap-operation-translate.html.

What the maps say is the port's; here is how a question and its answer are written.
"""

from typing import Final

from fhir_server.interactions.server import Server
from fhir_server.operations.codings import CODE, CODING, CONCEPT, SYSTEM, read_codings, written
from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from hie.core.errors import InternalError, ParameterValueError
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.ports import Translation

# These say that there is no target (https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html).
_NO_TARGET: Final = frozenset({"unmatched", "disjoint"})
_MATCH: Final = (
    Parameter(
        "equivalence", "out", 0, "1", "code", "How the target relates to the code, where the map says it"
    ),
    Parameter("concept", "out", 0, "1", "Coding", "The target"),
    Parameter("source", "out", 0, "1", "uri", "The canonical of the concept map"),
)

DEFINITION: Final = Definition(
    code="translate",
    url=f"{HL7}ConceptMap-translate",
    levels=frozenset({"type", "instance"}),
    types=("ConceptMap",),
    affects_state=False,
    parameters=(
        Parameter("url", "in", 0, "1", "uri", "The canonical of the concept map; all maps unless given"),
        CODE,
        SYSTEM,
        CODING,
        CONCEPT,
        Parameter("targetsystem", "in", 0, "1", "uri", "The system of the targets; all unless given"),
        Parameter("result", "out", 1, "1", "boolean", "Whether there is a target"),
        Parameter("message", "out", 0, "1", "string", "Why there is none"),
        Parameter("match", "out", 0, "*", "", "A target", _MATCH),
    ),
    documentation="Translates a code by the concept maps that the server knows.",
)


def handle(call: Call) -> Reply:
    """Return whether and to what the code translates; raises NotFoundError for an unknown map."""
    translator = call.server.translator
    if translator is None:
        raise InternalError("$translate is called without a translator")
    found: list[Translation] = []
    for coding in read_codings(call.inputs):
        found += translator.translations(
            call.transaction,
            coding,
            concept_map=_concept_map(call),
            target_system=call.inputs.one("targetsystem"),
        )
    result = any(each.equivalence not in _NO_TARGET for each in found)
    parameters: list[JsonObject] = [{"name": "result", "valueBoolean": result}]
    if not result:
        parameters.append({"name": "message", "valueString": "No concept map has a target for the code"})
    parameters += [{"name": "match", "part": _parts(each)} for each in found]
    return Reply(body=dumps({"resourceType": "Parameters", "parameter": parameters}))


def _concept_map(call: Call) -> str | None:
    """Return the canonical of the map to use: at instance level that of the stored ConceptMap."""
    given: str | None = call.inputs.one("url")
    if call.resource_id is None:
        return given
    if given is not None:
        raise ParameterValueError(
            "`url` is for the type level only", expression=call.inputs.expression("url")
        )
    stored = call.server.repository.read(call.transaction, "ConceptMap", call.resource_id)
    url: str | None = loads(stored.body or b"{}").get("url")
    if url is None:
        raise ParameterValueError(f"`ConceptMap/{call.resource_id}` has no url", expression="ConceptMap.url")
    return url


def _parts(translation: Translation) -> list[JsonObject]:
    parts: list[JsonObject] = []
    if translation.equivalence is not None:
        parts.append({"name": "equivalence", "valueCode": translation.equivalence})
    parts.append({"name": "concept", "valueCoding": written(translation.coding)})
    parts.append({"name": "source", "valueUri": translation.concept_map})
    return parts


def _is_available(server: Server) -> bool:
    return server.translator is not None


OPERATION: Final = Operation(DEFINITION, handle, _is_available)
