"""CWE, CE, CNE, CF: coded values with up to three codings and their original text.

The sender's codings all stay. A row with a concept map adds its target in front, unless the code is already
one of another system. CE and older CWE simply lack the later components.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (CWE[...], CE[...], CNE[...], CF[...])
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives, units
from hl7_gateway.datatypes.codes import as_json, translated
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.datatypes.st import whole
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

# Component numbers of identifier, text, name of coding system, version and coding system OID, thrice.
_TRIPLETS = ((1, 2, 3, 7, 14), (4, 5, 6, 8, 17), (10, 11, 12, 13, 20))
_CODED = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 20)


@datatype("CWE_CodeableConcept", uses=_CODED)
@datatype("CNE_CodeableConcept", uses=_CODED)
@datatype("CF_CodeableConcept", uses=_CODED)
@datatype("CE_CodeableConcept", uses=_CODED)
def cwe_codeable_concept(rep: Repetition, ctx: Context, concept_map: str | None = None) -> JsonObject | None:
    """Return a CodeableConcept: the concept map's target, the sender's codings, the original text.

    A text without any code is a Coding that has only a display (IG), and the concept's `text` as well.
    """
    codings: list[JsonObject] = []
    size = len(rep)
    text = primitives.string_at(rep, 9)
    for numbers in _TRIPLETS:
        if size < numbers[0]:
            break
        coding = _coding(rep, ctx, numbers)
        if coding is None:
            continue
        if "code" not in coding:
            codings.append(coding)
            if text is None:
                text = coding["display"]
        elif concept_map is not None:
            _put_target(codings, coding, part(rep, numbers[2]), ctx, concept_map)
        else:
            codings.append(coding)
    # A code in the third component has the code before it; without one, or with more, drops may be due.
    if size > 3 or (size == 3 and not (codings and "code" in codings[-1])):  # noqa: PLR2004 - CWE.3
        _drop_unused(rep, ctx)
    concept: JsonObject = {}
    if codings:
        concept["coding"] = codings
    if text is not None:
        concept["text"] = text
    return concept or None


@datatype("CWE_Coding", uses=(1, 2, 3, 7, 14))
@datatype("CE_Coding", uses=(1, 2, 3))
@datatype("CNE_Coding", uses=(1, 2, 3, 7, 14))
def cwe_coding(rep: Repetition, ctx: Context, concept_map: str | None = None) -> JsonObject | None:
    """Return the first Coding, translated when the concept map knows the code."""
    coding = _coding(rep, ctx, _TRIPLETS[0])
    if coding is None or concept_map is None or "code" not in coding:
        return coding
    codings: list[JsonObject] = []
    _put_target(codings, coding, part(rep, 3), ctx, concept_map)
    if len(codings) > 1:
        for place in (2, 7, 14):
            if part(rep, place):
                ctx.drop(place, "the element holds one code, that of the concept map")
    elif part(rep, 14):
        _drop_unused(rep[:14], ctx)
    return codings[0]


@datatype("CWE_code", uses=(1, 4))
@datatype("CE_code", uses=(1, 4))
@datatype("CNE_code", uses=(1, 4))
def cwe_code(rep: Repetition, ctx: Context, concept_map: str | None = None) -> str | None:
    """Return the code of CWE.1, else of CWE.4; raises DataTypeError without target in a given concept map."""
    return translated(_first_code(rep, ctx), ctx, concept_map)


@datatype("CWE_string", uses=(1, 2, 9))
@datatype("CE_string", uses=(1, 2, 9))
@datatype("CNE_string", uses=(1, 2, 9))
def cwe_string(rep: Repetition, ctx: Context) -> str | None:
    """Return the original text, else the text, else the code itself, which older IS fields carry alone."""
    texts = [
        (place, text) for place in (9, 2, 1) if (text := primitives.string(part(rep, place))) is not None
    ]
    if not texts:
        return None
    for place, text in texts[1:]:
        if text != texts[0][1]:
            ctx.drop(place, f"the element holds one text, CWE.{texts[0][0]}")
    return texts[0][1]


@datatype("CWE_uri", uses=(1, 4))
def cwe_uri(rep: Repetition, ctx: Context) -> str | None:
    """Return the uri in CWE.1, else in CWE.4."""
    return primitives.uri(_first_code(rep, ctx))


@datatype("CWE_Quantity", uses=(1, 2, 3))
@datatype("CE_Quantity", uses=(1, 2, 3))
def cwe_quantity(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return unit, system and code of a Quantity whose value stands elsewhere (OBX-6 for OBX-5).

    A code beside a text, but without system, is one of the sender; a code alone is the unit. A power of ten
    (`10^9/L`, also with its sign unescaped) is a code of UCUM.
    """
    whole_rep = units.joined(rep)
    code, text = primitives.code(part(whole_rep, 1)), primitives.string(part(whole_rep, 2))
    system = part(whole_rep, 3).strip()
    unit = text
    if text is not None and not system and len(whole_rep) < len(rep) and ctx.is_coding_system(text):
        # The sender counted the unit as one component: `10^9/L^UCUM`.
        unit, system = None, text
    unit = unit or primitives.string(part(whole_rep, 1))
    if unit is None:
        return None
    if code is None:
        if system:
            ctx.drop(3, "a coding system without a code")
        return {"unit": unit}
    uri = ctx.coding_system(system) if system else ""
    known = units.ucum(code) if uri in ("", units.UCUM) else None
    if known is not None:
        return {"unit": unit, "system": units.UCUM, "code": known}
    if uri or unit != code:
        return {"unit": unit, "system": uri or ctx.coding_system(""), "code": code}
    return {"unit": unit}


@datatype("CWE_Identifier", uses=(1, 3))
@datatype("CE_Identifier", uses=(1, 3))
def cwe_identifier(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Identifier of CWE.1 in the system of CWE.3."""
    value = primitives.string(part(rep, 1))
    if value is None:
        return None
    return {"system": ctx.coding_system(part(rep, 3).strip()), "value": value}


@datatype("CWE_Organization", uses=(1, 2, 3))
@datatype("CE_Organization", uses=(1, 2, 3))
def cwe_organization(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return identifier and name of an Organization."""
    organization: JsonObject = {}
    identifier = cwe_identifier(rep, ctx)
    if identifier is not None:
        organization["identifier"] = [identifier]
    else:
        ctx.drop_filled(rep, (3,), "a coding system without a code")
    name = primitives.string(part(rep, 2))
    if name is not None:
        organization["name"] = name
    return organization or None


@datatype("CWE_Annotation", uses="all")
@datatype("CE_Annotation", uses="all")
def cwe_annotation(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return an Annotation with the full field, delimiters included (IG); one text stands alone."""
    texts = [text for component in rep for text in component if text.strip()]
    text = primitives.markdown(texts[0] if len(texts) == 1 else whole(rep))
    return None if text is None else {"text": text}


@datatype("CWE_DurationUnit", uses=(1,))
def cwe_duration_unit(rep: Repetition, _ctx: Context) -> str | None:
    """Return a UCUM unit of time; raises DataTypeError for any other unit.

    https://hl7.org/fhir/R4/valueset-units-of-time.html
    """
    unit = primitives.code(part(rep, 1))
    if unit is None or unit in ("s", "min", "h", "d", "wk", "mo", "a"):
        return unit
    raise DataTypeError(f"`{primitives.shown(unit)}` is no UCUM unit of time")


def _drop_unused(rep: Repetition, ctx: Context) -> None:
    """Report systems and versions without a code, and OIDs of coding systems beside their names."""
    size = len(rep)
    for code_at, _, system_at, version_at, oid_at in _TRIPLETS:
        if size < min(system_at, version_at):
            break
        has_code = bool(part(rep, code_at).strip())
        for place in (system_at, version_at):
            if not has_code and size >= place and part(rep, place):
                ctx.drop(place, "a coding system or version without a code")
        oid = part(rep, oid_at).strip()
        if oid:
            system = ctx.coding_system(part(rep, system_at).strip(), oid)
            if not has_code or system != f"urn:oid:{oid}":
                ctx.drop(oid_at, "the name of the coding system stands for it")


def _first_code(rep: Repetition, ctx: Context) -> str:
    first, alternate = part(rep, 1), part(rep, 4)
    if first and alternate and first != alternate:
        ctx.drop(4, "the element holds one code, CWE.1")
    return first or alternate


def _coding(rep: Repetition, ctx: Context, numbers: tuple[int, int, int, int, int]) -> JsonObject | None:
    code_at, display_at, system_at, version_at, oid_at = numbers
    code = primitives.code(part(rep, code_at))
    display = primitives.string_at(rep, display_at)
    if code is None:
        return None if display is None else {"display": display}
    size = len(rep)
    oid = part(rep, oid_at).strip() if size >= oid_at else ""
    coding: JsonObject = {"system": ctx.coding_system(part(rep, system_at).strip(), oid)}
    version = primitives.string_at(rep, version_at)
    if version is not None:
        coding["version"] = version
    coding["code"] = code
    if display is not None:
        coding["display"] = display
    return coding


def _put_target(
    codings: list[JsonObject], coding: JsonObject, system_name: str, ctx: Context, concept_map: str
) -> None:
    """Append the target of `coding` and, where it says more, `coding` itself.

    Only codes of HL7 tables are translated; one without a coding system is read in the table of the field.
    """
    system_name = system_name.strip()
    if system_name and not system_name.startswith("HL7"):
        codings.append(coding)
        return
    code = coding["code"]
    if not system_name:
        coding["system"] = ctx.source_coding(concept_map, code).system
    target = ctx.translator.translate(concept_map, code)
    if target is None:
        codings.append(coding)
        return
    mapped = as_json(target)
    if (coding["system"], code) == (target.system, target.code):
        codings.append({**mapped, **coding})
        return
    codings.append(mapped)
    codings.append(coding)
