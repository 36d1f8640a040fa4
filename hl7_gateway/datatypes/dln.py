"""DLN, PLN: licence numbers of drivers and of practitioners.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (DLN[Identifier], PLN[Identifier])
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import id_codeable_concept
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dtm import date_time
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part


@datatype("DLN_Identifier", uses=(1, 2, 3))
def dln_identifier(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Identifier of a driver's licence, in the namespace of what issued it (DLN.2)."""
    value = primitives.string(part(rep, 1))
    if value is None:
        return None
    issuer = primitives.string(part(rep, 2))
    result: JsonObject = {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "DL"}]},
        "system": ctx.sender.system("DL", *([issuer] if issuer is not None else [])),
        "value": value,
    }
    if issuer is not None:
        result["assigner"] = {"display": issuer}
    _add_expiry(result, rep, 3, ctx)
    return result


@datatype("PLN_Identifier", uses=(1, 2, 4))
def pln_identifier(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Identifier of a practitioner's licence or other number of type PLN.2 (table 0338)."""
    value = primitives.string(part(rep, 1))
    if value is None:
        return None
    kind = primitives.code(part(rep, 2))
    result: JsonObject = {}
    if kind is not None:
        concept = id_codeable_concept(((kind,),), ctx, "PractitionerIDNumberType")
        if concept is not None:
            result["type"] = concept
    result["system"] = ctx.sender.system(kind or "Practitioner")
    result["value"] = value
    _add_expiry(result, rep, 4, ctx)
    return result


def _add_expiry(result: JsonObject, rep: Repetition, place: int, ctx: Context) -> None:
    text = part(rep, place)
    if not text:
        return
    try:
        end = date_time(text, ctx.sender.zone)
    except DataTypeError as error:
        ctx.drop(place, error.message)
        return
    if end is not None:
        result["period"] = {"end": end}
