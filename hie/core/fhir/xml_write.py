"""JSON of FHIR to the XML that says the same: https://hl7.org/fhir/R4/xml.html, json.html.

Driven by the structure table: elements come in the order of the specification, `id` of elements and `url`
of extensions as attributes, primitives with the id and extensions that JSON keeps under ``_name``, decimals
with their digits, narrative as markup. What R4 does not have has no place in its XML: NotAcceptableError
names it.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from itertools import zip_longest
from typing import Final, NamedTuple, NoReturn

from hie.core.errors import NestedTooDeeplyError, NotAcceptableError
from hie.core.fhir.json import Json, JsonObject, dumps
from hie.core.fhir.structure import elements_of, is_subtype, resource_types, structure_of
from hie.core.fhir.xhtml import as_markup
from hie.core.fhir.xml_characters import escaped

FHIR: Final = "http://hl7.org/fhir"

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_INDENT: Final = "  "


class _Place(NamedTuple):
    """Where the element under a JSON key stands among its siblings, and what it holds."""

    order: int
    kind: str
    content: str


def to_xml(resource: JsonObject, *, is_pretty: bool = False) -> bytes:
    """Return `resource` as an XML document in UTF-8, indented by two spaces if `is_pretty`.

    Raises NotAcceptableError where JSON holds what XML of R4 cannot: elements and types that R4 does not
    have, characters that XML does not have.
    """
    out = [_DECLARATION]
    try:
        _write_resource(resource, out, "\n" if is_pretty else "", f' xmlns="{FHIR}"')
    except RecursionError as error:
        raise NestedTooDeeplyError("The resource is nested too deeply for XML") from error
    if is_pretty:
        out.append("\n")
    return "".join(out).encode()


def attributes_of(path: str) -> tuple[str, ...]:
    """Return the elements of the structure at `path` that XML has as attributes (https://hl7.org/fhir/R4/xml.html)."""
    if is_subtype(path, "Resource"):
        return ()
    return ("id", "url") if path == "Extension" else ("id",)


@cache
def _places(path: str) -> Mapping[str, _Place]:
    """Return JSON key -> place for all that XML writes as elements of the structure at `path`."""
    found = {}
    for order, (key, (_, type_name, content)) in enumerate(elements_of(path).items()):
        structure = structure_of(content)
        kind: str = structure.kind if structure else "resource"
        if type_name in ("xhtml", "Resource"):
            kind = type_name
        if key not in attributes_of(path):
            found[key] = _Place(order, kind, content)
            if kind == "primitive":
                found[f"_{key}"] = found[key]
    return found


def _write_resource(resource: Json, out: list[str], pad: str, declared: str = "") -> None:
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(name, str) or name not in resource_types():
        _refuse("resourceType", f"names no resource type of R4 but {_shown(name)}")
    out.append(f"{pad}<{name}{declared}>")
    _write_children(resource, name, out, pad and pad + _INDENT)
    out.append(f"{pad}</{name}>")


def _write_children(node: JsonObject, path: str, out: list[str], pad: str) -> None:
    places = _places(path)
    keys = [key for key in node if key in places]
    if len(keys) != len(node):
        _check_others(node, path)
    keys.sort(key=lambda key: places[key].order)
    for key in keys:
        kind, content = places[key][1:]
        value = node[key]
        if kind == "primitive":
            if key[0] != "_":
                _write_primitives(key, value, node.get("_" + key), content, out, pad)
            elif key[1:] not in node:
                _write_primitives(key[1:], None, value, content, out, pad)
        else:
            for each in value if value.__class__ is list else (value,):
                _write_one(key, each, kind, content, out, pad)


def _write_one(key: str, value: Json, kind: str, content: str, out: list[str], pad: str) -> None:
    if kind == "xhtml":
        if value.__class__ is not str:
            _refuse(key, "is no text")
        try:
            out.append(pad + as_markup(value))
        except ValueError as error:
            _refuse(key, f"holds what XML has not ({error})")
    elif kind == "Resource":
        out.append(f"{pad}<{key}>")
        _write_resource(value, out, pad and pad + _INDENT)
        out.append(f"{pad}</{key}>")
    else:
        _write_complex(key, value, content, out, pad)


def _write_complex(name: str, node: Json, path: str, out: list[str], pad: str) -> None:
    if node.__class__ is not dict:
        _refuse(f"{path}", f"is no object but {_shown(node)}")
    out.append(f"{pad}<{name}{_attributes(node, path)}>")
    _write_children(node, path, out, pad and pad + _INDENT)
    out.append(f"{pad}</{name}>")


def _write_primitives(name: str, values: Json, besides: Json, path: str, out: list[str], pad: str) -> None:
    """Write the elements of one or more values; `besides` has their ids and extensions."""
    many = values if values.__class__ is list else [values]
    if besides is None:
        out.extend(f'{pad}<{name} value="{_text(value, name)}"/>' for value in many)
        return
    for value, beside in zip_longest(many, besides if besides.__class__ is list else [besides]):
        written = "" if value is None else f' value="{_text(value, name)}"'
        if beside is None:
            out.append(f"{pad}<{name}{written}/>")
            continue
        if beside.__class__ is not dict:
            _refuse(f"_{name}", f"is no object but {_shown(beside)}")
        out.append(f"{pad}<{name}{_attributes(beside, path)}{written}>")
        _write_children(beside, path, out, pad and pad + _INDENT)
        out.append(f"{pad}</{name}>")


def _attributes(node: JsonObject, path: str) -> str:
    written = ""
    for name in attributes_of(path):
        if name in node:
            written += f' {name}="{_text(node[name], name)}"'
    return written


def _text(value: Json, name: str) -> str:
    """Return a primitive value as the text of an attribute."""
    kind = value.__class__
    if kind is str:
        try:
            return escaped(value)
        except ValueError as error:
            _refuse(name, f"holds what XML has not ({error})")
    if kind in (bool, int, float, Decimal):
        return dumps(value).decode()
    return _refuse(name, f"is no primitive value but {_shown(value)}")


def _check_others(node: JsonObject, path: str) -> None:
    """Raise NotAcceptableError for a key that is neither an element nor an attribute of `path`."""
    known = {*_places(path), *attributes_of(path)}
    if is_subtype(path, "Resource"):
        known.add("resourceType")
    for key in node:
        if key not in known:
            _refuse(f"{path}.{key}", "is no element of FHIR R4")


def _shown(value: Json) -> str:
    return dumps(value).decode()[:40]


def _refuse(expression: str, what: str) -> NoReturn:
    raise NotAcceptableError(f"`{expression}` {what}: XML cannot show it, JSON can", expression=expression)
