"""One named element of a resource: its value as text, and the resource with another value in its place.

A name is the path of a primitive in JSON, its parts joined by dots, items of lists by their position
("name[0].family", "birthDate"): a simple FHIRPath (https://hl7.org/fhir/R4/fhirpath.html#simple). Pure.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from hie.core.errors import ParameterValueError
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import element_at, structure_of

LONGEST_PATH: Final = 200
_STEP: Final = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\[(0|[1-9][0-9]{0,3})\])?")
# What only the server says.
_SERVERS: Final = frozenset({"resourceType", "id", "meta", "text"})
# https://hl7.org/fhir/R4/datatypes.html#primitive; no 32-bit integer has more digits.
_NUMBERS: Final = {
    "decimal": re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,3})?"),
    "integer": re.compile(r"0|-?[1-9][0-9]{0,9}"),
    "positiveInt": re.compile(r"[1-9][0-9]{0,9}"),
    "unsignedInt": re.compile(r"0|[1-9][0-9]{0,9}"),
}
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class _Step:
    """One part of a path: a key of an object, and the position in its list where it is one."""

    key: str
    position: int | None


def leaves(resource: JsonObject, *, most: int = 200) -> list[tuple[str, str]]:
    """Return name and value of the first `most` primitive elements of `resource`, in its order."""
    found: list[tuple[str, str]] = []
    for name, value in resource.items():
        if name in _SERVERS or name.startswith("_"):
            continue
        for each in _leaves(name, value):
            if len(found) == most:
                return found
            found.append(each)
    return found


def value_at(resource: JsonObject, path: str) -> str:
    """Return the value of the element as text, "" where it is not there.

    Raises ParameterValueError for a name that is none of an element of such a resource, or of one that
    holds others.
    """
    _type_of(resource, path)
    value: Json = resource
    for step in _steps(path):
        value = value.get(step.key) if isinstance(value, dict) else None
        if step.position is not None:
            value = value[step.position] if isinstance(value, list) and step.position < len(value) else None
    if isinstance(value, dict | list):
        raise ParameterValueError(f"`{path}` is no single value", expression="element")
    return _text(value)


def with_value(resource: JsonObject, path: str, text: str) -> JsonObject:
    """Return a copy of `resource` whose element has the value `text`; an empty one takes it away.

    Raises ParameterValueError for a `text` that is no value of the element's type, and for a name whose
    parent is not there.
    """
    made = deepcopy(resource)
    *parents, last = _steps(path)
    wished = _value(text, _type_of(resource, path), path)
    place: Json = made
    for step in parents:
        place = _child(place, step, path)
    if last.position is not None:
        items = place.setdefault(last.key, []) if isinstance(place, dict) else None
        if not isinstance(items, list) or last.position > len(items):
            raise ParameterValueError(f"There is no place for `{path}`", expression="element")
        items[last.position : last.position + 1] = [] if wished is None else [wished]
        if not items:
            del place[last.key]
    elif not isinstance(place, dict):
        raise ParameterValueError(f"There is no place for `{path}`", expression="element")
    elif wished is None:
        place.pop(last.key, None)
    else:
        place[last.key] = wished
    return made


def _steps(path: str) -> list[_Step]:
    if len(path) > LONGEST_PATH:
        raise ParameterValueError(
            f"A name of an element has at most {LONGEST_PATH} characters", expression="element"
        )
    found: list[_Step] = []
    for part in path.split("."):
        matched = _STEP.fullmatch(part)
        if matched is None:
            raise ParameterValueError(f"`{path}` is no name of an element", expression="element")
        found.append(_Step(matched[1], None if matched[2] is None else int(matched[2])))
    if found[0].key in _SERVERS:
        raise ParameterValueError(f"`{found[0].key}` is for the server to say", expression="element")
    return found


def _type_of(resource: JsonObject, path: str) -> str:
    """Return the primitive type that the element has; raises ParameterValueError where it has none."""
    content = str(resource.get("resourceType", ""))
    type_name = content
    for step in _steps(path):
        found = element_at(content, step.key)
        if found is None or found[0].is_list != (step.position is not None):
            raise ParameterValueError(f"`{path}` is no element of {content}", expression="element")
        _, type_name, content = found
    structure = structure_of(content)
    if structure is None or structure.kind != "primitive":
        raise ParameterValueError(f"`{path}` is no single value", expression="element")
    return type_name


def _child(place: Json, step: _Step, path: str) -> Json:
    value = place.get(step.key) if isinstance(place, dict) else None
    if step.position is not None:
        value = value[step.position] if isinstance(value, list) and step.position < len(value) else None
    if value is None:
        raise ParameterValueError(f"There is no place for `{path}`", expression="element")
    return value


def _value(text: str, type_name: str, path: str) -> Json:
    if not text:
        return None
    pattern = _NUMBERS.get(type_name)
    is_number = pattern is not None and pattern.fullmatch(text) is not None
    if (pattern is not None and not is_number) or (type_name == "boolean" and text not in _BOOLEANS):
        raise ParameterValueError(f"The value is no {type_name}, which `{path}` is", expression="wished")
    if type_name == "boolean":
        return _BOOLEANS[text]
    if type_name == "decimal":
        return Decimal(text)
    return int(text) if is_number else text


def _leaves(path: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            if not name.startswith("_"):
                yield from _leaves(f"{path}.{name}", each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _leaves(f"{path}[{number}]", each)
    elif value is not None:
        yield path, _text(value)


def _text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
