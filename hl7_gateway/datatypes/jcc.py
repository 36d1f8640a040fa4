"""JCC: job code and class.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html has no map; codings follow CWE[CodeableConcept].
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part


@datatype("JCC_CodeableConcept", uses=((1, (1, 2, 3)), (2, (1, 2, 3)), 3))
def jcc_codeable_concept(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return a CodeableConcept of job code, job class and description."""
    concept: JsonObject = {}
    for place in (1, 2):
        code = primitives.code(part(rep, place, 1))
        if code is None:
            ctx.drop_filled(rep, (place,), "a text or coding system without a code")
            continue
        coding = {"system": ctx.coding_system(part(rep, place, 3).strip()), "code": code}
        display = primitives.string(part(rep, place, 2))
        if display is not None:
            coding["display"] = display
        concept.setdefault("coding", []).append(coding)
    text = primitives.string(part(rep, 3))
    if text is not None:
        concept["text"] = text
    return concept or None
