"""ID, IS: codes of HL7 and of users, whose table the field determines.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (ID[...], IS[...])
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hie.core.ports import Coding
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

# The IG names this extension in ED[Attachment] for a code that has no element of its own.
ALTERNATE_CODES = "http://hl7.org/fhir/StructureDefinition/alternate-codes"


@datatype("ID_code", uses=(1,))
@datatype("IS_code", uses=(1,))
@datatype("ST_code", uses=(1,))
def id_code(rep: Repetition, ctx: Context, concept_map: str | None = None) -> str | None:
    """Return the code, translated when a concept map is given; raises DataTypeError without target."""
    return translated(part(rep, 1), ctx, concept_map)


@datatype("ID_boolean", uses=(1,))
def id_boolean(rep: Repetition, _ctx: Context) -> bool | None:
    """Return the boolean of a Y/N indicator (table 0136); raises DataTypeError for any other code."""
    text = part(rep, 1).strip().upper()
    if not text:
        return None
    if text in ("Y", "N"):
        return text == "Y"
    raise DataTypeError(f"`{primitives.shown(text)}` is neither Y nor N (table 0136)")


@datatype("ID_Coding", uses=(1,))
@datatype("IS_Coding", uses=(1,))
def id_coding(rep: Repetition, ctx: Context, concept_map: str | None = None) -> JsonObject | None:
    """Return the Coding of the concept map's target, else of the code in its own table."""
    code = primitives.code(part(rep, 1))
    if code is None:
        return None
    if concept_map is None:
        return {"system": ctx.coding_system(""), "code": code}
    target = ctx.translator.translate(concept_map, code)
    return as_json(target if target is not None else ctx.source_coding(concept_map, code))


@datatype("ID_CodeableConcept", uses=(1,))
@datatype("IS_CodeableConcept", uses=(1,))
def id_codeable_concept(rep: Repetition, ctx: Context, concept_map: str | None = None) -> JsonObject | None:
    """Return a CodeableConcept with the target and, where it is another code, the original."""
    code = primitives.code(part(rep, 1))
    if code is None:
        return None
    if concept_map is None:
        return {"coding": [{"system": ctx.coding_system(""), "code": code}]}
    source = ctx.source_coding(concept_map, code)
    target = ctx.translator.translate(concept_map, code)
    if target is None:
        return {"coding": [as_json(source)]}
    if (target.system, target.code) == (source.system, source.code):
        return {"coding": [as_json(target)]}
    return {"coding": [as_json(target), as_json(source)]}


@datatype("ID_UniversalIDType", uses=(1,))
def id_universal_id_type(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the CodeableConcept of a universal id type (table 0301)."""
    return id_codeable_concept(rep, ctx, "UniversalIDType")


def translated(text: str, ctx: Context, concept_map: str | None) -> str | None:
    """Return `text` as a code, translated by a given concept map; raises DataTypeError without target."""
    code = primitives.code(text)
    if code is None or concept_map is None:
        return code
    target = ctx.translator.translate(concept_map, code)
    if target is None:
        raise DataTypeError(f"`{primitives.shown(code)}` has no target in the code map {concept_map}")
    return target.code


def use_of(text: str, ctx: Context, concept_map: str, element: JsonObject, name: str) -> None:
    """Set `element[name]` to the target of a code; one without target stays beside it as alternate code."""
    code = primitives.code(text)
    if code is None:
        return
    target = ctx.translator.translate(concept_map, code)
    if target is not None:
        element[name] = target.code
        return
    original = {"coding": [as_json(ctx.source_coding(concept_map, code))]}
    element[f"_{name}"] = {"extension": [{"url": ALTERNATE_CODES, "valueCodeableConcept": original}]}


def as_json(coding: Coding) -> JsonObject:
    """Return a Coding as FHIR JSON."""
    if coding.display is None:
        return {"system": coding.system, "code": coding.code}
    return {"system": coding.system, "code": coding.code, "display": coding.display}
