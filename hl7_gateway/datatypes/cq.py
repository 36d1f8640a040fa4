"""CQ, MO, CP: amounts with a unit or a currency.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (CQ[...])
"""

from decimal import Decimal

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.cwe import cwe_duration_unit, cwe_quantity
from hl7_gateway.datatypes.nesting import within
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import lift, part

_CURRENCY_LENGTH = 3


@datatype("CQ_Quantity", uses=(1, (2, (1, 2, 3))))
def cq_quantity(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return a Quantity; unit, system and code come from CQ.2."""
    value = primitives.decimal(part(rep, 1))
    if value is None:
        return None
    unit = within(rep, 2, ctx, cwe_quantity)
    return {"value": value, **(unit or {})}


@datatype("CQ_decimal", uses=(1,))
def cq_decimal(rep: Repetition, _ctx: Context) -> Decimal | None:
    """Return the amount alone."""
    return primitives.decimal(part(rep, 1))


@datatype("CQ_code", uses=((2, (1,)),))
def cq_code(rep: Repetition, _ctx: Context) -> str | None:
    """Return the code of the unit alone."""
    return primitives.code(part(rep, 2, 1))


@datatype("CQ_duration", uses=(1,))
def cq_duration(rep: Repetition, ctx: Context) -> Decimal | None:
    """Return the length of a duration; raises DataTypeError without a UCUM unit of time."""
    return primitives.decimal(part(rep, 1)) if cq_duration_unit(rep, ctx) is not None else None


@datatype("CQ_durationUnit", uses=((2, (1,)),))
def cq_duration_unit(rep: Repetition, ctx: Context) -> str | None:
    """Return the unit of a duration; raises DataTypeError for one that is not a UCUM unit of time."""
    value = primitives.decimal(part(rep, 1))
    if value is None:
        return None
    unit = cwe_duration_unit(lift(rep[1]), ctx) if len(rep) > 1 else None
    if unit is None:
        raise DataTypeError("A duration needs a unit of time")
    return unit


@datatype("MO_Money", uses=(1, 2))
def mo_money(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return Money; raises DataTypeError for a currency that has not the form of ISO 4217."""
    value = primitives.decimal(part(rep, 1))
    if value is None:
        return None
    money: JsonObject = {"value": value}
    currency = primitives.code(part(rep, 2))
    if currency is not None:
        if len(currency) != _CURRENCY_LENGTH or not currency.isascii() or not currency.isalpha():
            raise DataTypeError(f"`{primitives.shown(currency)}` is not a currency of ISO 4217")
        money["currency"] = currency.upper()
    return money


@datatype("CP_Money", uses=((1, (1, 2)),))
def cp_money(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Money in CP.1."""
    return mo_money(lift(rep[0]), ctx) if rep else None
