"""XTN: telephone numbers and other addresses of telecommunication.

Where a sender names no equipment type (XTN.3), a value that is written like a telephone number is one: XTN.1,
XTN.7 and XTN.12 are telephone numbers by definition, and FHIR wants a system for every value (cpt-2). The IG
says "unknown" there; so does this module for values that are neither telephone number nor e-mail address.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-xtn-to-contactpoint.html
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import use_of
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dr import put_period
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_PARTS = (
    (5, f"{_EXTENSION}contactpoint-country"),
    (6, f"{_EXTENSION}contactpoint-area"),
    (7, f"{_EXTENSION}contactpoint-local"),
    (8, f"{_EXTENSION}contactpoint-extension"),
)
_NET = frozenset({"Internet", "X.400"})
_TELEPHONE = frozenset("0123456789+-()（）－./ xX#*,;转-\u2010\u2011\u2012\u2013")
_DIGITS_MIN = 3
_NO_TEXT = ("",)
_NO_PREFIX = (_NO_TEXT, _NO_TEXT)
# XTN.4 to XTN.6 of a number that stands whole in XTN.7, which is the usual form.
_ONLY_LOCAL = (_NO_TEXT, _NO_TEXT, _NO_TEXT)
# The unformatted number, the one that XTN.5 to XTN.8 make, the formatted one, an address of the net.
_NUMBER_FIRST = (12, 7, 1, 4)


@datatype("XTN_ContactPoint", uses=(1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 18))
@datatype("TN_ContactPoint", uses=(1,))
def xtn_contact_point(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return a ContactPoint, None when it has no value."""
    size = len(rep)
    equipment = primitives.code(part(rep, 3)) if size > 2 else None  # noqa: PLR2004 - XTN.3
    is_net = equipment in _NET
    is_local = size == 7 and rep[0] == _NO_TEXT and rep[3:6] == _ONLY_LOCAL and not is_net  # noqa: PLR2004
    value, place = (primitives.string_at(rep, 7), 7) if is_local else _value(rep, size, is_net=is_net)
    if value is None:
        return None
    point: JsonObject = {}
    if equipment == "CP":
        # The IG's map gives a use here, not a system: a mobile phone is a phone.
        point["system"], point["use"] = "phone", "mobile"
    elif equipment is not None:
        use_of(equipment, ctx, "TelecommunicationEquipmentType", point, "system")
    else:
        point.update(_guessed(value, place))
    point["value"] = value
    if size > 1:
        use = part(rep, 2)
        if use and "use" not in point:
            use_of(use, ctx, "TelecommunicationUseCode", point, "use")
        elif use and use != "PRS":
            ctx.drop(2, "a mobile phone (XTN.3) has its use")
    if is_local:
        point["extension"] = [{"url": f"{_EXTENSION}contactpoint-local", "valueString": value}]
    elif size > 3:  # noqa: PLR2004 - XTN.4
        _add_parts(point, rep, ctx, is_net=is_net)
        _drop_others(point, rep, ctx, place)
        if size > 12:  # noqa: PLR2004 - XTN.13
            put_period(point, rep, 13, 14, ctx)
            _add_rank(point, part(rep, 18), ctx)
    return point


def _value(rep: Repetition, size: int, *, is_net: bool) -> tuple[str | None, int]:
    """Return the value and the component it stands in."""
    for place in (4, 1, 12) if is_net else _NUMBER_FIRST:
        if place <= size and rep[place - 1] != _NO_TEXT:
            value = _composed(rep) if place == 7 else primitives.string_at(rep, place)  # noqa: PLR2004
            if value is not None:
                return value, place
    return None, 0


def _composed(rep: Repetition) -> str | None:
    """Return the number that XTN.5 to XTN.8 make: "+86 371 01234567 X12"."""
    local = primitives.string_at(rep, 7)
    if local is None:
        return None
    if rep[4:6] == _NO_PREFIX and len(rep) == 7:  # noqa: PLR2004 - XTN.7
        return local
    country, area, extension = (primitives.string_at(rep, place) for place in (5, 6, 8))
    if country is None and area is None and extension is None:
        return local
    parts = [f"+{country.lstrip('+')}"] if country is not None else []
    parts.extend(text for text in (area, local) if text is not None)
    if extension is not None:
        parts.append(f"X{extension}")
    return " ".join(parts)


def _guessed(value: str, place: int) -> JsonObject:
    if place == 4 or "@" in value:  # noqa: PLR2004 - XTN.4 is an address of the net
        return {"system": "email"}
    if _TELEPHONE.issuperset(value) and sum(map(str.isdigit, value)) >= _DIGITS_MIN:
        return {"system": "phone"}
    absent = {"url": f"{_EXTENSION}data-absent-reason", "valueCode": "unknown"}
    return {"_system": {"extension": [absent]}}


def _add_parts(point: JsonObject, rep: Repetition, ctx: Context, *, is_net: bool) -> None:
    """Add the extensions of XTN.5 to XTN.8, which an address of the net has no use for."""
    if is_net:
        for number in (5, 6, 7, 8):
            if part(rep, number):
                ctx.drop(number, "no part of an address of the net")
        return
    extensions: list[JsonObject] = []
    size = len(rep)
    for number, url in _PARTS:
        if number <= size and rep[number - 1] != _NO_TEXT:
            text = primitives.string_at(rep, number)
            if text is not None:
                extensions.append({"url": url, "valueString": text})
    if extensions:
        point["extension"] = extensions


def _drop_others(point: JsonObject, rep: Repetition, ctx: Context, place: int) -> None:
    """Report a further number or address that is another one than the value."""
    size = len(rep)
    for number in (1, 4, 12):
        if number == place or number > size or rep[number - 1] == _NO_TEXT:
            continue
        text = part(rep, number).strip()
        if text and _digits(text) != _digits(point["value"]):
            ctx.drop(number, f"the element holds one value, that of XTN.{place}")


def _digits(text: str) -> str:
    """Return what makes two ways to write a number the same number."""
    return "".join(character for character in text if character.isalnum() or character == "@").upper()


def _add_rank(point: JsonObject, text: str, ctx: Context) -> None:
    if not text:
        return
    try:
        rank = primitives.integer(text, at_least=1)
    except DataTypeError as error:
        ctx.drop(18, error.message)
        return
    if rank is not None:
        point["rank"] = rank
