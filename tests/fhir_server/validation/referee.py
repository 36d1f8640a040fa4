"""fhir.resources as the referee, and a typed walk over JSON that knows nothing of the validator's rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.validation.definition import ANY_RESOURCE, PRIMITIVE_EXTENSION, Element, TypeDefinition
from fhir_server.validation.structure import load_definition
from hie.core.fhir.json import Json, JsonObject

_definition = cache(load_definition)


class Verdict(StrEnum):
    """What fhir.resources answers; a crash is an exception that is no ValidationError."""

    ACCEPTS = "accepts"
    REFUSES = "refuses"
    CRASHES = "crashes"


def judge(type_name: str, value: JsonObject) -> Verdict:
    """Let the class of `type_name` read `value`."""
    try:
        get_fhir_model_class(type_name).model_validate(value)
    except ValidationError:
        return Verdict.REFUSES
    except Exception:  # noqa: BLE001  # whatever it crashes with is the finding
        return Verdict.CRASHES
    return Verdict.ACCEPTS


@dataclass(frozen=True, slots=True)
class Place:
    """A JSON value met on a walk, where it stands and what its definition calls it.

    `element` is None where the definition has no such property. `is_sibling` says that the property
    is the ``_`` twin of `element`, `in_array` that the value is an item of the property's array.
    """

    value: Json
    parent: JsonObject
    name: str
    element: Element | None
    owner: TypeDefinition
    is_sibling: bool
    in_array: bool
    depth: int


def walk(type_name: str, value: Json, depth: int = 1) -> Iterator[Place]:
    """Yield every property, and every item of its array, of `value` and below."""
    definition = definition_of(type_name, value)
    if definition is None or not isinstance(value, dict):
        return
    by_name = {element.name: element for element in definition.elements}
    for name, found in value.items():
        element = by_name.get(name)
        is_sibling = False
        if element is None and name.startswith("_"):
            element = by_name.get(name[1:])
            is_sibling = element is not None and element.has_sibling
            element = element if is_sibling else None
        yield Place(found, value, name, element, definition, is_sibling, in_array=False, depth=depth)
        below = PRIMITIVE_EXTENSION if is_sibling else element.type if element else None
        if isinstance(found, list):
            for item in found:
                yield Place(item, value, name, element, definition, is_sibling, in_array=True, depth=depth)
                if below:
                    yield from walk(below, item, depth + 1)
        elif below:
            yield from walk(below, found, depth + 1)


def definition_of(type_name: str, value: Json) -> TypeDefinition | None:
    """Return the definition that `value` claims to follow."""
    if type_name == ANY_RESOURCE:
        name = value.get("resourceType") if isinstance(value, dict) else None
        return _definition(name) if isinstance(name, str) and name in R4_RESOURCE_TYPES else None
    return _definition(type_name) if type_name[0].isupper() else None


def objects(type_name: str, value: JsonObject) -> list[tuple[JsonObject, TypeDefinition]]:
    """Return `value` and every object below it that has a definition, with that definition."""
    found: list[tuple[JsonObject, TypeDefinition]] = []
    root = definition_of(type_name, value)
    if root is not None:
        found.append((value, root))
    for place in walk(type_name, value):
        if isinstance(place.value, dict) and place.element is not None:
            below = PRIMITIVE_EXTENSION if place.is_sibling else place.element.type
            definition = definition_of(below, place.value)
            if definition is not None:
                found.append((place.value, definition))
    return found
