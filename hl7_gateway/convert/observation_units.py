"""The units of an Observation (OBX-6), and a plain number in units, which nearly all values are.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-obx-to-observation.html
"""

from decimal import Decimal
from typing import Final

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import WHOLE, Account, Reads, is_read_whole
from hl7_gateway.convert.memory import keep, recall
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.cwe import cwe_quantity
from hl7_gateway.datatypes.units import joined
from hl7_gateway.er7.message import Repetition, Segment

_VALUE, _UNITS = 5, 6
_VALUE_AND_UNITS: Final = (_VALUE, _UNITS)
# Code, text and system.
_UNIT_PLACES: Final = 3


def put_number(segment: Segment, resource: JsonObject, run: Run, account: Account) -> bool:
    """Put a number of digits and a point in units that were read whole, which nearly all values are.

    Return whether it is one.
    """
    fields = segment.fields
    text, units = fields[_VALUE], fields[_UNITS] if len(fields) > _UNITS else ""
    if not (text.isascii() and text.replace(".", "", 1).isdigit()):
        return False
    if "." in segment.delimiters.encoding_characters:
        return False
    if not units:
        account.whole.add(_VALUE)
        resource["valueQuantity"] = {"value": Decimal(text)}
        return True
    place = (_PLAIN_UNITS, units)
    unit: JsonObject | None = run.memory.get(place)
    if unit is None:
        unit = _plain_unit(segment, run)
        if unit is None:
            return False
        keep(run.memory, place, unit)
    account.whole.update(_VALUE_AND_UNITS)
    resource["valueQuantity"] = {"value": Decimal(text), **unit}
    return True


def _plain_unit(segment: Segment, run: Run) -> JsonObject | None:
    """Return the unit of a single OBX-6 of which nothing is left over, None of any other."""
    units = segment.repetitions(_UNITS)
    unit, reads = recall(run.memory, unit_of, units[0], run.context)
    is_whole = len(units) == 1 and not run.context.dropped and is_read_whole(units[0], reads)
    run.context.dropped.clear()  # reported where the unit is not plain
    return unit if is_whole else None


def unit_reads(repetition: Repetition) -> Reads:
    """Return what is read of a unit: code, text and system, with the halves of a power as one of them."""
    halves = len(repetition) - len(joined(repetition)) if len(repetition) > 1 else 0
    reads = (1,) * (_UNIT_PLACES + halves)
    return WHOLE if is_read_whole(repetition, reads) else reads


def unit_of(repetition: Repetition, context: Context) -> tuple[JsonObject | None, Reads]:
    """Return the unit of OBX-6 as parts of a Quantity, None without one, and what of it is read."""
    return cwe_quantity(repetition, context), unit_reads(repetition)


# What `memory` knows units by.
_PLAIN_UNITS: Final = id(_plain_unit)
