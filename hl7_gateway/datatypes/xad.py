"""XAD, SAD: addresses.

An address that a sender put whole into one component (usual in China) stays there as `line` and is `text`
too. `text` runs from the largest part to the smallest without blanks where the address is Chinese, else it is
as on a letter.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-xad-to-address.html
"""

import re

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import ALTERNATE_CODES, as_json
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dr import put_validity
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_USE = "http://hl7.org/fhir/StructureDefinition/iso21090-AD-use"
_CENSUS_TRACT = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-censusTract"
_PLACES = ((3, "city"), (4, "state"), (5, "postalCode"), (6, "country"))
_HAN = re.compile("[㐀-鿿]")
_NO_TEXT = ("",)


@datatype(
    "XAD_Address",
    uses=((1, (1, 2, 3)), 2, 3, 4, 5, 6, 7, (9, (1, 2, 9)), (10, (1, 2, 9)), (12, (1, 2)), 13, 14, 19),
)
@datatype("AD_Address", uses=(1, 2, 3, 4, 5, 6, 7))
def xad_address(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return an Address, None when no part of it is filled."""
    address: JsonObject = {}
    size = len(rep)
    lines = _lines(rep, size)
    if lines:
        address["line"] = lines
    if size > 2:  # noqa: PLR2004 - XAD.3
        _add_places(address, rep, size)
        if size > 8:  # noqa: PLR2004 - XAD.9
            district = _coded_text(rep, 9, ctx)
            if district is not None:
                address["district"] = district
    if not address:
        return None
    address["text"] = _text(address, lines)
    if size > 6:  # noqa: PLR2004 - XAD.7
        _add_type(address, part(rep, 7), ctx)
        if size > 9:  # noqa: PLR2004 - XAD.10
            _add_census_tract(address, rep, ctx)
            put_validity(address, rep, ctx, range_at=12, start_at=13)
    return address


@datatype("SAD_Address", uses=(1, 2, 3))
def sad_address(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return an Address that has only lines."""
    lines = [line for place in (1, 2, 3) if (line := primitives.string(part(rep, place))) is not None]
    return {"line": lines, "text": ", ".join(lines)} if lines else None


def _add_places(address: JsonObject, rep: Repetition, size: int) -> None:
    """Add city, state, postal code and country."""
    for place, element in _PLACES:
        if place <= size and rep[place - 1] != _NO_TEXT:
            value = primitives.string_at(rep, place)
            if value is not None:
                address[element] = value


def _lines(rep: Repetition, size: int) -> list[str]:
    """Return street address (with street name and number), other designation and addressee."""
    texts = [*rep[0][:3]] if rep else []
    if size > 1 and (size > 18 or rep[1] != _NO_TEXT):  # noqa: PLR2004 - XAD.19
        texts += [part(rep, place) for place in (2, 19) if place <= size]
    return [line for text in texts if text and (line := primitives.string(text)) is not None]


def _coded_text(rep: Repetition, place: int, ctx: Context) -> str | None:
    """Return the text of a CWE in one component: original text, text or code."""
    if place > len(rep) or len(rep[place - 1]) == 1:
        return primitives.string_at(rep, place)
    texts = [
        text
        for subcomponent in (9, 2, 1)
        if (text := primitives.string(part(rep, place, subcomponent))) is not None
    ]
    if len(set(texts)) > 1:
        ctx.drop(place, "the element holds the text, not the code")
    return texts[0] if texts else None


def _add_census_tract(address: JsonObject, rep: Repetition, ctx: Context) -> None:
    tract = _coded_text(rep, 10, ctx)
    if tract is not None:
        address.setdefault("extension", []).append({"url": _CENSUS_TRACT, "valueString": tract})


def _add_type(address: JsonObject, text: str, ctx: Context) -> None:
    """Put an address type (table 0190) where FHIR has a place for it: type, use, else an extension."""
    code = primitives.code(text) if text else None
    if code is None:
        return
    kind = ctx.translator.translate("AddressType[Type]", code)
    use = ctx.translator.translate("AddressType[Use]", code)
    if kind is not None:
        address["type"] = kind.code
    if use is not None:
        address["use"] = use.code
    if code == "HV":
        address["extension"] = [{"url": _USE, "valueCode": code}]
    elif kind is None and use is None:
        original = as_json(ctx.source_coding("AddressType[Use]", code))
        address["extension"] = [
            {"url": ALTERNATE_CODES, "valueCodeableConcept": {"coding": [original]}},
        ]


def _text(address: JsonObject, lines: list[str]) -> str:
    if lines and _HAN.search("".join(lines)):
        larger = ""
        for element in ("state", "city", "district"):
            name = address.get(element, "")
            # A municipality is both state and city, and a line often begins with the names above it.
            if name and not larger.endswith(name) and not lines[0].startswith((larger + name, name)):
                larger += name
        return larger + "".join(lines)
    place = " ".join(address[element] for element in ("state", "postalCode") if element in address)
    rest = [address[element] for element in ("city", "district") if element in address]
    return ", ".join(text for text in (*lines, *rest, place, address.get("country", "")) if text)
