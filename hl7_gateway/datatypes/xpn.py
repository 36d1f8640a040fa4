"""XPN, FN: names of persons.

`text` is the name as one writes it: Chinese, Japanese and Korean names without blanks and family name first,
others in the order of XPN.11. A name that a sender put whole into one component stays there; nothing splits
it.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-xpn-to-humanname.html
https://hl7.org/fhir/R4/extension-iso21090-en-representation.html
"""

import re

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import use_of
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dr import put_validity
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_FAMILY_PARTS = (
    (2, "humanname-own-prefix"),
    (3, "humanname-own-name"),
    (4, "humanname-partner-prefix"),
    (5, "humanname-partner-name"),
)
# Table 0465 to https://terminology.hl7.org/ValueSet-v3-EntityNameUseR2 (alphabetic, ideographic, syllabic).
_REPRESENTATIONS = {"A": "ABC", "I": "IDE", "P": "SYL"}
# Suffix and prefix as nearly every sender leaves them.
_NO_AFFIXES = (("",), ("",))
_FAMILY_SUBCOMPONENTS = (1, 2, 3, 4, 5)
# The scripts that write names without blanks (Han, kana, Hangul), private use, where GB 18030 has had rare
# characters of names, and the dots that join transcribed names.
_HAN = re.compile(
    "[·•\u3400-\u9fff\uf900-\ufaff\u3041-\u30ff\uac00-\ud7a3\ue000-\uf8ff\U00020000-\U0003ffff]+\\Z"
)


@datatype(
    "XPN_HumanName",
    uses=((1, _FAMILY_SUBCOMPONENTS), 2, 3, 4, 5, 6, 7, 8, (10, (1, 2)), 11, 12, 13, 14),
)
def xpn_human_name(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return a HumanName, None when no part of a name is filled."""
    name = name_of(rep, 1)
    if name is None:
        return None
    size = len(rep)
    if size > 5:  # noqa: PLR2004 - XPN.6
        add_suffixes(name, rep, (6, 14))
    text = text_of(name, part(rep, 11) if size > 10 else "")  # noqa: PLR2004 - XPN.11
    if size > 6:  # noqa: PLR2004 - XPN.7
        use_of(part(rep, 7), ctx, "NameType", name, "use")
        if size > 7:  # noqa: PLR2004 - XPN.8
            add_extensions(name, rep, ctx, representation_at=8, order_at=11)
            put_validity(name, rep, ctx, range_at=10, start_at=12)
    name["text"] = text
    return name


@datatype("XPN_CalledBy", uses=(15,))
def xpn_called_by(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return the second HumanName of an XPN: what the person is called (XPN.15)."""
    called = primitives.string_at(rep, 15)
    return None if called is None else {"use": "nickname", "given": [called], "text": called}


@datatype("XPN_string", uses=((1, _FAMILY_SUBCOMPONENTS), 2, 3, 4, 5, 6, 11, 14))
def xpn_string(rep: Repetition, ctx: Context) -> str | None:
    """Return the name in one text, in the order of XPN.11."""
    name = name_of(rep, 1)
    if name is None:
        return None
    drop_family_parts(name, 1, ctx)
    add_suffixes(name, rep, (6, 14))
    return text_of(name, part(rep, 11))


@datatype("FN_HumanName", uses=(1, 2, 3, 4, 5))
def fn_human_name(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return a HumanName that has only a family name; `rep` is an FN."""
    name: JsonObject = {}
    _add_family(name, tuple(texts[0] if texts else "" for texts in rep))
    return name or None


def name_of(rep: Repetition, family_at: int) -> JsonObject | None:
    """Return family, given, suffix and prefix from five components in a row, the FN at `family_at` first."""
    name: JsonObject = {}
    size = len(rep)
    if size >= family_at:
        component = rep[family_at - 1]
        if len(component) > 1:
            _add_family(name, component)
        else:
            family = primitives.string_at(rep, family_at)
            if family is not None:
                name["family"] = family
    if size > family_at:
        first, second = primitives.string_at(rep, family_at + 1), primitives.string_at(rep, family_at + 2)
        if first is not None:
            name["given"] = [first] if second is None else [first, second]
        elif second is not None:
            name["given"] = [second]
        if size > family_at + 2 and rep[family_at + 2 : family_at + 4] != _NO_AFFIXES:
            suffix = primitives.string_at(rep, family_at + 3)
            if suffix is not None:
                name["suffix"] = [suffix]
            prefix = primitives.string_at(rep, family_at + 4)
            if prefix is not None:
                name["prefix"] = [prefix]
    return name or None


def drop_family_parts(name: JsonObject, family_at: int, ctx: Context) -> None:
    """Report the parts of a family name (FN.2 to FN.5) that one text of the name does not show."""
    parts = name.get("_family", {}).get("extension", ())
    if any(part["valueString"] not in name["family"] for part in parts):
        ctx.drop(family_at, "one text has no place for the parts of a family name")


def add_suffixes(name: JsonObject, rep: Repetition, places: tuple[int, ...]) -> None:
    """Append the components at `places` to the suffixes."""
    for place in places:
        suffix = primitives.string_at(rep, place)
        if suffix is not None:
            name.setdefault("suffix", []).append(suffix)


def text_of(name: JsonObject, order: str) -> str:
    """Return the whole name; `order` is XPN.11 (table 0444: F family name first, G given name first)."""
    family, given = name.get("family", ""), name.get("given", ())
    core: str = family + (given[0] if len(given) == 1 else "".join(given))
    if _HAN.match(core):
        return core
    parts = [family, *given] if order == "F" else [*given, family]
    return " ".join([*name.get("prefix", []), *(text for text in parts if text), *name.get("suffix", [])])


def add_extensions(
    name: JsonObject, rep: Repetition, ctx: Context, *, representation_at: int, order_at: int
) -> None:
    """Append the extensions of name representation (table 0465) and assembly order (table 0444)."""
    extensions: list[JsonObject] = []
    representation = part(rep, representation_at).strip()
    if representation:
        code = _REPRESENTATIONS.get(representation.upper())
        if code is not None:
            extensions.append({"url": f"{EXTENSION}iso21090-EN-representation", "valueCode": code})
        else:
            ctx.drop(representation_at, "the code is not of table 0465")
    order = primitives.code(part(rep, order_at))
    if order is not None:
        target = ctx.translator.translate("NameAssemblyOrder", order)
        code = target.code if target is not None else order
        extensions.append({"url": f"{EXTENSION}humanname-assembly-order", "valueCode": code})
    if extensions:
        name["extension"] = extensions


def _add_family(name: JsonObject, component: tuple[str, ...]) -> None:
    texts = [primitives.string(text) for text in component[:5]]
    family = texts[0] if texts else None
    if family is None:
        family = " ".join(text for text in texts if text is not None) or None
    if family is None:
        return
    name["family"] = family
    extensions = [
        {"url": EXTENSION + url, "valueString": text}
        for place, url in _FAMILY_PARTS
        if place <= len(texts) and (text := texts[place - 1]) is not None
    ]
    if extensions:
        name["_family"] = {"extension": extensions}
