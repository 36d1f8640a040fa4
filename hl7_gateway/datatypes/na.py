"""NA, OG: numeric arrays and observation groups.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (NA[SampledData], OG[Extension-Subidentifier])
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.datatypes.st import whole
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

SUB_ID = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid"


@datatype("NA_string", uses="all")
def na_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the numbers of an array in one text, blanks between; raises DataTypeError for what is no number.

    It is the `data` of a SampledData; origin and period, which FHIR wants too, an NA does not have.
    """
    texts = [part(rep, place).strip() for place in range(1, len(rep) + 1)]
    if not any(texts):
        return None
    for text in texts:
        if text:
            primitives.decimal(text)
    return " ".join(text or "E" for text in texts)


@datatype("OG_Extension", uses=(1, 2, 3, 4))
def og_extension(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the extension of a sub-identifier with original text, group, sequence and identifier.

    A sub-identifier of older versions is one text: `1`, `1.2`; it is the original.
    """
    parts: list[JsonObject] = []
    original = primitives.string(part(rep, 1))
    if original is not None:
        parts.append({"url": "original-sub-identifier", "valueString": original})
    for place, url in ((2, "group"), (3, "sequence")):
        try:
            number = primitives.decimal(part(rep, place))
        except DataTypeError as error:
            ctx.drop(place, error.message)
            continue
        if number is not None:
            parts.append({"url": url, "valueDecimal": number})
    identifier = primitives.string(part(rep, 4))
    if identifier is not None:
        parts.append({"url": "identifier", "valueString": identifier})
    return {"url": SUB_ID, "extension": parts} if parts else None


@datatype("OG_string", uses="all")
def og_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the sub-identifier in one text."""
    return primitives.string(whole(rep))
