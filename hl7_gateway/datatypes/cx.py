"""CX: extended composite id with check digit.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-cx-to-identifier.html
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dr import put_period
from hl7_gateway.datatypes.identifiers import check_digit, identifier
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

# CX.2 and CX.3 as nearly every sender leaves them.
_NO_CHECK_DIGIT = (("",), ("",))


@datatype("CX_Identifier", uses=(1, 2, 3, (4, (1, 2, 3)), 5, 7, 8))
def cx_identifier(rep: Repetition, ctx: Context, namespace: str | None = None) -> JsonObject | None:
    """Return an Identifier, None without an id number (CX.1)."""
    value = primitives.string_at(rep, 1)
    if value is None:
        return None
    size = len(rep)
    type_code = (primitives.code(part(rep, 5)) or "") if size > 4 else ""  # noqa: PLR2004 - CX.5
    result = identifier(value, rep, 4, type_code, ctx, namespace)
    if size > 1:
        if rep[1:3] != _NO_CHECK_DIGIT:
            extensions = check_digit(rep, 2)
            if extensions:
                result["extension"] = extensions
        if size > 6:  # noqa: PLR2004 - CX.7
            put_period(result, rep, 7, 8, ctx)
    return result


@datatype("CX_string", uses=(1,))
def cx_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the id number alone."""
    return primitives.string_at(rep, 1)
