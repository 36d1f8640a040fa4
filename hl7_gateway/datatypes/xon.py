"""XON: names and numbers of organizations.

Results are parts of an Organization without `resourceType`.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-xon-to-organization.html
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.identifiers import check_digit, identifier
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_IDENTIFIER = (3, 4, 5, (6, (1, 2, 3)), 7, 10)
_NAMESPACE = "Organization"


@datatype("XON_Organization", uses=(1, *_IDENTIFIER))
@datatype("XON_Location", uses=(1, *_IDENTIFIER))
def xon_organization(rep: Repetition, ctx: Context, namespace: str = _NAMESPACE) -> JsonObject | None:
    """Return identifier and name of an Organization."""
    organization: JsonObject = {}
    number = xon_identifier(rep, ctx, namespace)
    if number is not None:
        organization["identifier"] = [number]
    name = primitives.string(part(rep, 1))
    if name is not None:
        organization["name"] = name
    return organization or None


@datatype("XON_Identifier", uses=_IDENTIFIER)
def xon_identifier(rep: Repetition, ctx: Context, namespace: str = _NAMESPACE) -> JsonObject | None:
    """Return the Identifier in XON.10, else in XON.3, which versions before 2.5 have."""
    value, older = primitives.string(part(rep, 10)), primitives.string(part(rep, 3))
    if value is not None and older is not None and older != value:
        ctx.drop(3, "the organization identifier (XON.10) stands instead of the id number")
    number = value if value is not None else older
    if number is None:
        ctx.drop_filled(rep, (4, 5, 6, 7), "what an identifier says beside its number, without a number")
        return None
    type_code = primitives.code(part(rep, 7)) or ""
    result = identifier(number, rep, 6, type_code, ctx, namespace)
    extensions = check_digit(rep, 4)
    if extensions:
        result["extension"] = extensions
    return result


@datatype("XON_string", uses=(1, 10))
def xon_string(rep: Repetition, ctx: Context) -> str | None:
    """Return the name of the organization, its identifier where it has none."""
    name, number = primitives.string(part(rep, 1)), primitives.string(part(rep, 10))
    if name is not None and number is not None:
        ctx.drop(10, "the element holds the name")
    return name if name is not None else number
