"""XML of FHIR to the JSON that says the same: https://hl7.org/fhir/R4/xml.html, json.html.

Driven by the structure table: knows every resource and data type, their names and types, and whether
an element repeats. Checks what JSON could not carry: unknown elements and attributes, text between
elements, an element given twice that does not repeat, an empty element. Everything else (required elements,
formats, one type of a choice) is for validation. The order of elements is not checked. Comments, processing
instructions and `xsi:schemaLocation` are ignored. A document type is refused, so are encodings but UTF-8.

The markup of a narrative becomes text exactly as it was written, but for prefixes of XHTML and
named entities; line ends stay too.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final, Literal, NamedTuple
from xml.parsers import expat

from hie.core.errors import MalformedXMLError, NestedTooDeeplyError
from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.fhir.structure import elements_of, is_subtype, resource_types, structure_of
from hie.core.fhir.xhtml import XHTML, DocumentTypeError, safe_parser, with_numeric_entities
from hie.core.fhir.xml_narrative import NarrativeReader, PrefixError
from hie.core.fhir.xml_write import FHIR, attributes_of

_SCHEMA_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance "
# An element is at most a list and an object of JSON, whose writers stop at a depth of 254.
_DEEPEST: Final = 120
_SPACE: Final = " \t\r\n"
# https://hl7.org/fhir/R4/datatypes.html#primitive; JSON has no plus sign.
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# Digits that a float surely prints back as they are.
_SHORT: Final = 15
# What a message quotes of a name that is none of FHIR's: it may be as long as the body.
_LONGEST_NAME: Final = 80
_BOOLEANS: Final = {"true": True, "false": False}
# XML Schema collapses the whitespace of these (https://www.w3.org/TR/xmlschema-2/#rf-whiteSpace).
_COLLAPSED: Final = frozenset({"date", "dateTime", "instant", "time"})


# What an element holds; a holder holds a resource.
_Kind = Literal["primitive", "complex", "xhtml", "holder", "resource"]


class _Slot(NamedTuple):
    """An element that may stand in a structure: where it goes in JSON, and what it may hold."""

    kind: _Kind
    key: str
    is_list: bool
    type_name: str
    content: str


# An element whose end was not yet read: its slot, the node and shape around it, the text of its value.
_Frame = tuple[_Slot, JsonObject, Mapping[str, _Slot], str | None]


def from_xml(text: bytes) -> JsonObject:
    """Return the resource that the XML document `text` is, as JSON.

    Numbers come as `hie.core.fhir.json.loads` gives them. Raises MalformedXMLError with the FHIRPath of the
    element at fault, or with line and column, and NestedTooDeeplyError.
    """
    text = with_numeric_entities(text)
    try:
        return _Reader(text, rewrites_narrative=False).read()
    except PrefixError:
        return _Reader(text, rewrites_narrative=True).read()


@cache
def _shape(path: str) -> dict[str, _Slot]:
    """Return the names that the parser gives -> the slots of the structure at `path`."""
    found = {}
    for key, (element, type_name, content) in elements_of(path).items():
        if key in attributes_of(path):
            continue
        namespace = XHTML if type_name == "xhtml" else FHIR
        found[f"{namespace} {key}"] = _Slot(
            _kind(type_name, content), key, element.is_list, type_name, content
        )
    return found


def _kind(type_name: str, content: str) -> _Kind:
    if type_name == "xhtml":
        return "xhtml"
    if type_name == "Resource":
        return "holder"
    structure = structure_of(content)
    return "primitive" if structure is not None and structure.kind == "primitive" else "complex"


@cache
def _resources() -> dict[str, _Slot]:
    return {f"{FHIR} {name}": _Slot("resource", name, False, name, name) for name in resource_types()}


class _Reader:
    """Turns the events of one document into JSON."""

    def __init__(self, text: bytes, *, rewrites_narrative: bool) -> None:
        self._text = text
        self._rewrites = rewrites_narrative
        self._frames: list[_Frame] = []
        self._node: JsonObject = {}
        self._shape: Mapping[str, _Slot] = _resources()
        # Lists of primitives that begin with elements without value.
        self._holes: list[tuple[JsonObject, str]] = []
        self._parser = safe_parser()
        self._parser.XmlDeclHandler = self._declaration
        self._listen()

    def read(self) -> JsonObject:
        try:
            self._parser.Parse(self._text, True)
        except expat.ExpatError as error:
            sentence = expat.ErrorString(error.code)
            raise MalformedXMLError(
                f"The body is not XML: {sentence} at line {error.lineno}, column {error.offset + 1}"
            ) from error
        except DocumentTypeError as error:
            raise MalformedXMLError("The body declares a document type; FHIR has none") from error
        for node, key in self._holes:
            if all(value is None for value in node.get(key, ())):
                node.pop(key, None)
        found: JsonObject = self._node["resource"]
        return found

    def _listen(self) -> None:
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text_between

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise MalformedXMLError(f"The body is declared as `{encoding}`; FHIR is written in UTF-8")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        slot = self._shape.get(name) or self._slot(name)
        value = None
        if slot.kind == "primitive":
            value = attributes.pop("value", None)
        if len(self._frames) > _DEEPEST:
            raise NestedTooDeeplyError(f"The body is nested more than {_DEEPEST} elements deep")
        self._frames.append((slot, self._node, self._shape, value))
        self._node = {}
        if slot.kind == "holder":
            self._shape = _resources()
        elif slot.kind == "xhtml":
            self._start_narrative(name, attributes)
            return
        else:
            self._shape = _shape(slot.content)
            if slot.kind == "resource":
                self._node["resourceType"] = slot.key
        if attributes:
            self._take_attributes(attributes, slot)

    def _end(self, _name: str) -> None:
        slot, parent, shape, value = self._frames[-1]
        node = self._node
        if slot.kind == "primitive":
            self._end_primitive(slot, parent, node, value)
        else:
            found: Json = node.get("resource") if slot.kind == "holder" else node
            if slot.kind == "resource":
                if "resource" in parent:
                    raise self._error("holds more than one resource")
                parent["resource"] = node
            elif not found:
                raise self._error("is empty")
            elif slot.is_list:
                parent.setdefault(slot.key, []).append(found)
            elif slot.key in parent:
                raise self._error("does not repeat")
            else:
                parent[slot.key] = found
        self._frames.pop()
        self._node = parent
        self._shape = shape

    def _end_primitive(self, slot: _Slot, parent: JsonObject, node: JsonObject, text: str | None) -> None:
        value = None if text is None else self._value(slot.type_name, text)
        if value is None and not node:
            raise self._error("has neither value nor extension")
        key, beside = slot.key, f"_{slot.key}"
        if not slot.is_list:
            if key in parent or beside in parent:
                raise self._error("does not repeat")
            if value is not None:
                parent[key] = value
            if node:
                parent[beside] = node
            return
        values = parent.setdefault(key, [])
        values.append(value)
        if beside in parent:
            parent[beside].append(node or None)
        elif node:
            parent[beside] = [None] * (len(values) - 1) + [node]
        if value is None:
            self._holes.append((parent, key))

    def _value(self, type_name: str, text: str) -> Json:
        if type_name == "boolean":
            found = _BOOLEANS.get(text.strip(_SPACE))
            if found is not None:
                return found
        elif type_name == "decimal":
            text = text.strip(_SPACE)
            if _DECIMAL.fullmatch(text):
                number = float(text)
                if len(text) < _SHORT and repr(number) == text:
                    return number
                return loads(f'{{"":{text}}}')[""]
        elif is_subtype(type_name, "integer"):
            text = text.strip(_SPACE)
            if _INTEGER.fullmatch(text):
                return loads(f'{{"":{text.removeprefix("+")}}}')[""]
        else:
            return text.strip(_SPACE) if type_name in _COLLAPSED else text
        raise self._error(f"is `{text[:40]}`, which is no {type_name}")

    def _take_attributes(self, attributes: dict[str, str], slot: _Slot) -> None:
        allowed = () if slot.kind == "holder" else attributes_of(slot.content)
        for name, value in attributes.items():
            if name in allowed:
                self._node[name] = value
            elif not name.startswith(_SCHEMA_INSTANCE):
                raise self._error(f"has no attribute `{name[:_LONGEST_NAME]}`")

    def _text_between(self, text: str) -> None:
        if text.strip(_SPACE):
            raise self._error(f"holds text, `{text.strip(_SPACE)[:40]}`, where only elements may stand")

    def _slot(self, name: str) -> _Slot:
        """Return the slot of an element whose name has a prefix; raises where there is none."""
        namespace, local = name.split(" ")[:2] if " " in name else ("", name)
        slot = self._shape.get(f"{namespace} {local}")
        if slot is not None:
            return slot
        namespace, local = namespace[:_LONGEST_NAME], local[:_LONGEST_NAME]
        if namespace not in (FHIR, XHTML):
            raise self._error(f"holds `{local}` of namespace `{namespace}`; FHIR's is {FHIR}")
        if not self._frames:
            raise MalformedXMLError(f"`{local}` is not a resource type of FHIR R4", expression=local)
        raise self._error(f"has no element `{local}`", below=local)

    def _start_narrative(self, name: str, attributes: dict[str, str]) -> None:
        narrative = NarrativeReader(self._parser, self._text, rewrites=self._rewrites, error=self._error)
        narrative.start(name, attributes)

        def end(name: str) -> None:
            div = narrative.end(name)
            if div is not None:
                slot, parent, self._shape, _ = self._frames[-1]
                if slot.key in parent:
                    raise self._error("does not repeat")
                parent[slot.key] = div
                self._frames.pop()
                self._node = parent
                self._listen()

        self._parser.StartElementHandler = narrative.start
        self._parser.EndElementHandler = end
        self._parser.CharacterDataHandler = narrative.text

    def _error(self, what: str, below: str = "") -> MalformedXMLError:
        steps: list[str] = []
        for slot, parent, _, _ in self._frames:
            if slot.kind != "resource" or not steps:
                place = f"[{len(parent.get(slot.key, ()))}]" if slot.is_list else ""
                steps.append(slot.key + place)
        path = ".".join(steps)
        line = self._parser.CurrentLineNumber
        return MalformedXMLError(
            f"`{path}` {what} (line {line})" if path else f"The body {what} (line {line})",
            expression=".".join([*steps, below] if below else steps) or None,
        )
