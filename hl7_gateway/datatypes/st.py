"""ST, TX, FT: text. The engine has decoded escapes before; formatting commands of FT are already line breaks.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (ST[...], FT[...])
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part


@datatype("ST_string", uses=(1,))
@datatype("ID_string", uses=(1,))
@datatype("IS_string", uses=(1,))
def st_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the text without blanks around it."""
    return primitives.string(part(rep, 1))


@datatype("ST_uri", uses=(1,))
def st_uri(rep: Repetition, _ctx: Context) -> str | None:
    """Return the text as a uri."""
    return primitives.uri(part(rep, 1))


@datatype("ST_CodeableConcept", uses=(1,))
@datatype("TX_CodeableConcept", uses=(1,))
def st_codeable_concept(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return a CodeableConcept that has only text."""
    text = primitives.string(part(rep, 1))
    return None if text is None else {"text": text}


@datatype("ST_Identifier", uses=(1,))
def st_identifier(rep: Repetition, ctx: Context, namespace: str = "ID") -> JsonObject | None:
    """Return an Identifier in the sender's `namespace`."""
    value = primitives.string(part(rep, 1))
    return None if value is None else {"system": ctx.sender.system(namespace), "value": value}


@datatype("TX_string", uses="all")
@datatype("TX_markdown", uses="all")
@datatype("FT_string", uses="all")
@datatype("FT_markdown", uses="all")
@datatype("ST_markdown", uses="all")
def tx_markdown(rep: Repetition, _ctx: Context) -> str | None:
    """Return the text with its line breaks and leading blanks; delimiters that stood unescaped in it stay."""
    return primitives.markdown(whole(rep))


@datatype("FT_Annotation", uses="all")
@datatype("TX_Annotation", uses="all")
@datatype("ST_Annotation", uses="all")
def ft_annotation(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return an Annotation that has only text."""
    text = primitives.markdown(whole(rep))
    return None if text is None else {"text": text}


def whole(rep: Repetition) -> str:
    """Return the text of a repetition that should be one text but was cut at unescaped delimiters.

    The delimiters come back as HL7 recommends them, `^` and `&`.
    """
    if len(rep) == 1 and len(rep[0]) == 1:
        return rep[0][0]
    return "^".join(["&".join(component) for component in rep])
