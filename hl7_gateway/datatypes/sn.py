"""SN, NR: structured numbers and ranges: "<10", "3-5", "1:128", "2+".

Which of Quantity, Range and Ratio an SN is, its separator says: a condition of the segment map decides.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (SN[Quantity], SN[Range], SN[Ratio], NR[Range])
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_ORIGINAL_TEXT = "http://hl7.org/fhir/StructureDefinition/originalText"
_COMPARATORS = frozenset({"<", "<=", ">", ">="})
_FOUR = (1, 2, 3, 4)


@datatype("SN_Quantity", uses=_FOUR)
def sn_quantity(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return a Quantity; with separator or second number the whole stays as original text."""
    comparator, value = _comparator(rep), primitives.decimal(part(rep, 2))
    if value is None:
        return None
    result: JsonObject = {}
    if part(rep, 3) or part(rep, 4):
        result["extension"] = _original(rep)
    result["value"] = value
    if comparator is not None:
        result["comparator"] = comparator
    return result


@datatype("SN_Range", uses=_FOUR)
def sn_range(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return a Range from SN.2 to SN.4; raises DataTypeError when it is upside down (FHIR rng-2)."""
    return _range(rep, 2, 4, _original(rep) if part(rep, 1) or part(rep, 3) else None)


@datatype("SN_Ratio", uses=_FOUR)
def sn_ratio(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return the Ratio SN.2 to SN.4; raises DataTypeError when one of both is missing (FHIR rat-1)."""
    comparator, numerator = _comparator(rep), primitives.decimal(part(rep, 2))
    denominator = primitives.decimal(part(rep, 4))
    if numerator is None and denominator is None:
        return None
    if numerator is None or denominator is None:
        raise DataTypeError("A ratio needs both its numbers")
    above: JsonObject = {"value": numerator}
    if comparator is not None:
        above["comparator"] = comparator
    return {"extension": _original(rep), "numerator": above, "denominator": {"value": denominator}}


@datatype("SN_string", uses=_FOUR)
def sn_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the four components in one text."""
    return text_of(rep) or None


@datatype("NR_Range", uses=(1, 2))
def nr_range(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return a Range from NR.1 to NR.2; raises DataTypeError when it is upside down."""
    return _range(rep, 1, 2, None)


def text_of(rep: Repetition) -> str:
    """Return the four components with one blank between, as the IG writes the original."""
    return " ".join(text for place in _FOUR if (text := primitives.string(part(rep, place))) is not None)


def _original(rep: Repetition) -> list[JsonObject]:
    return [{"url": _ORIGINAL_TEXT, "valueString": text_of(rep)}]


def _comparator(rep: Repetition) -> str | None:
    text = part(rep, 1).strip()
    if not text or text == "=":
        return None
    if text in _COMPARATORS:
        return text
    raise DataTypeError(f"`{primitives.shown(text)}` is no comparator of FHIR")


def _range(
    rep: Repetition, low_at: int, high_at: int, extension: list[JsonObject] | None
) -> JsonObject | None:
    low, high = primitives.decimal(part(rep, low_at)), primitives.decimal(part(rep, high_at))
    if low is None and high is None:
        return None
    if low is not None and high is not None and low > high:
        raise DataTypeError("The range ends below its beginning")
    result: JsonObject = {} if extension is None else {"extension": extension}
    if low is not None:
        result["low"] = {"value": low}
    if high is not None:
        result["high"] = {"value": high}
    return result
