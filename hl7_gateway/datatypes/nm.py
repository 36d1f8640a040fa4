"""NM, SI: numbers, with the digits they were sent with.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (NM[...])
"""

from decimal import Decimal

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part


@datatype("NM_decimal", uses=(1,))
def nm_decimal(rep: Repetition, _ctx: Context) -> Decimal | None:
    """Return the number; raises DataTypeError for text that is none."""
    return primitives.decimal(part(rep, 1))


@datatype("NM_Quantity", uses=(1,))
def nm_quantity(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return a Quantity that has only a value."""
    value = primitives.decimal(part(rep, 1))
    return None if value is None else {"value": value}


@datatype("NM_string", uses=(1,))
def nm_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the number as text."""
    return primitives.string(part(rep, 1))


@datatype("NM_positiveInt", uses=(1,))
@datatype("SI_positiveInt", uses=(1,))
def nm_positive_int(rep: Repetition, _ctx: Context) -> int | None:
    """Return a whole number above zero; raises DataTypeError for any other."""
    return primitives.integer(part(rep, 1), at_least=1)


@datatype("NM_unsignedInt", uses=(1,))
@datatype("SI_unsignedInt", uses=(1,))
def nm_unsigned_int(rep: Repetition, _ctx: Context) -> int | None:
    """Return a whole number from zero; raises DataTypeError for any other."""
    return primitives.integer(part(rep, 1), at_least=0)


@datatype("NM_LengthOfStay", uses=(1,))
def nm_length_of_stay(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return a Duration in days; raises DataTypeError for a negative number, as the IG asks."""
    days = primitives.decimal(part(rep, 1))
    if days is None:
        return None
    if days < 0:
        raise DataTypeError(f"A length of stay of `{primitives.shown(part(rep, 1))}` days is negative")
    return {"value": days, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
