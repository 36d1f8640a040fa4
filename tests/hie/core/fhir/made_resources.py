"""Resources made by hypothesis from the structure table: every type, with ids and extensions everywhere."""

import string
from decimal import Decimal
from typing import Final

from hypothesis import strategies as st

from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.fhir.structure import Element, resource_types, structure_of

_DIV: Final = '<div xmlns="http://www.w3.org/1999/xhtml">'
_DEEPEST: Final = 4
_TEXT: Final = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from("\t\n\r&<>\"'"),
    min_size=1,
)
_IDS: Final = st.text(string.ascii_letters + string.digits + "-.", min_size=1, max_size=12)
_DIGITS: Final = st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?\Z")


def _decimal(digits: str) -> Json:
    """Return the number as the JSON reader has it: digits are kept."""
    return loads(f'{{"value":{digits}}}')["value"]


_PRIMITIVES: Final = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "positiveInt": st.integers(1, 2**31 - 1),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "decimal": _DIGITS.map(_decimal),
    "id": _IDS,
    "date": st.dates().map(str),
    "dateTime": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "instant": st.datetimes().map(lambda moment: moment.isoformat() + "+08:00"),
    "time": st.times().map(str),
}
_NARRATIVES: Final = st.lists(
    st.one_of(
        _TEXT.map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")),
        st.just("<p>a<br/>b</p>"),
        st.just('<table border="1"><tr><td title="&quot;&#160;">1 &amp; 2</td></tr></table>'),
        st.just("<!-- <p> --><![CDATA[&nbsp;<]]>"),
    )
).map(lambda parts: f"{_DIV}{''.join(parts)}</div>")


@st.composite
def resources(draw: st.DrawFn, depth: int = 0) -> JsonObject:
    """Draw a resource of any type; not valid, but of the shape that R4 gives it."""
    name = draw(st.sampled_from(sorted(resource_types())))
    return {"resourceType": name, "id": draw(_IDS), **draw(_content(name, depth))}


@st.composite
def _content(draw: st.DrawFn, path: str, depth: int) -> JsonObject:
    structure = structure_of(path)
    assert structure is not None
    usable = [each for each in structure.elements if path != "Extension" or each.name not in ("id", "url")]
    chosen = draw(st.lists(st.sampled_from(usable), max_size=4, unique=True)) if usable else []
    node: JsonObject = {"url": draw(_IDS)} if path == "Extension" else {}
    for element in chosen:
        _add(draw, node, element, path, depth)
    return node


def _add(draw: st.DrawFn, node: JsonObject, element: Element, path: str, depth: int) -> None:
    type_name = draw(st.sampled_from(element.types))
    key = element.name + type_name[0].upper() + type_name[1:] if element.is_choice else element.name
    if key == "id":
        node[key] = draw(_IDS)
        return
    content = type_name
    if type_name in ("BackboneElement", "Element"):
        content = element.content_of or f"{path}.{element.name}"
    structure = structure_of(content)
    if type_name == "xhtml":
        node[key] = draw(_NARRATIVES)
    elif structure is not None and structure.kind == "primitive":
        _add_primitive(draw, node, key, type_name, is_list=element.is_list, depth=depth)
    elif depth < _DEEPEST:
        one = resources(depth + 2) if type_name == "Resource" else _content(content, depth + 1)
        values = [value for value in draw(st.lists(one, min_size=1, max_size=2)) if value]
        if values:
            node[key] = values if element.is_list else values[0]


def _add_primitive(
    draw: st.DrawFn, node: JsonObject, key: str, type_name: str, *, is_list: bool, depth: int
) -> None:
    values = _PRIMITIVES.get(type_name, _TEXT)
    if not is_list:
        beside = draw(st.none() | _beside(depth))
        if beside is None or draw(st.booleans()):
            node[key] = draw(values)
        if beside is not None:
            node[f"_{key}"] = beside
        return
    pairs = draw(st.lists(st.tuples(st.none() | values, st.none() | _beside(depth)), min_size=1, max_size=3))
    pairs = [pair for pair in pairs if pair != (None, None)]
    if any(value is not None for value, _ in pairs):
        node[key] = [value for value, _ in pairs]
    if any(beside is not None for _, beside in pairs):
        node[f"_{key}"] = [beside for _, beside in pairs]


@st.composite
def _beside(draw: st.DrawFn, depth: int) -> JsonObject:
    """Draw id or extensions of a primitive."""
    if depth < _DEEPEST and draw(st.booleans()):
        return {"extension": [{"url": draw(_IDS), "valueDecimal": Decimal("1.10")}]}
    return {"id": draw(_IDS)}
