"""$match: https://hl7.org/fhir/R4/patient-operation-match.html.

Who may be whom is the port's to say; here the candidates are read, as far as the requester may read them.
"""

from typing import Final

import orjson

from fhir_server.interactions.server import Server
from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from hie.core.errors import InternalError, ParameterValueError
from hie.core.fhir.json import JsonObject, dumps

_TYPE: Final = "Patient"
_GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"

DEFINITION: Final = Definition(
    code="match",
    url=f"{HL7}Patient-match",
    levels=frozenset({"type"}),
    types=(_TYPE,),
    affects_state=False,
    parameters=(
        Parameter("resource", "in", 1, "1", "Resource", "A Patient, as much as is known"),
        Parameter("onlyCertainMatches", "in", 0, "1", "boolean", "Return one certain match or none"),
        Parameter("count", "in", 0, "1", "integer", "Candidates at most"),
        Parameter("return", "out", 1, "1", "Bundle", "A searchset with scores, the most likely first"),
    ),
    documentation="The patients that a demographic record may be.",
)


def handle(call: Call) -> Reply:
    """Return the candidates; raises ParameterValueError, and what the matcher raises."""
    matcher, inputs = call.server.matcher, call.inputs
    if matcher is None:
        raise InternalError("$match is called without a matcher")
    patient: JsonObject = inputs.resource("resource") or {}
    if patient.get("resourceType") != _TYPE:
        raise ParameterValueError("`resource` is no Patient", expression=inputs.expression("resource"))
    count: int | None = inputs.one("count")
    if count is not None and count < 1:
        raise ParameterValueError(
            f"`count` is {count}, at least 1 is taken", expression=inputs.expression("count")
        )
    found = matcher.match(
        call.transaction, patient, only_certain=inputs.one("onlyCertainMatches") or False, count=count
    )
    stored = call.server.repository.read_all(call.transaction, [(_TYPE, each.patient_id) for each in found])
    bodies = {each.id: each.body or b"null" for each in stored}
    entries = [
        {
            "fullUrl": f"{call.server.base_url}/{_TYPE}/{each.patient_id}",
            "resource": orjson.Fragment(bodies[each.patient_id]),
            "search": {
                "extension": [{"url": _GRADE, "valueCode": each.grade}],
                "mode": "match",
                "score": each.score,
            },
        }
        for each in found
        if each.patient_id in bodies
    ]
    bundle: JsonObject = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    if entries:
        bundle["entry"] = entries
    return Reply(body=dumps(bundle))


def _is_available(server: Server) -> bool:
    return server.matcher is not None


OPERATION: Final = Operation(DEFINITION, handle, _is_available)
