"""Changes elements of a resource by their data type or path, at any depth: also in contained resources.

Which element has which type is R4's word (`hie.core.fhir.structure`); what becomes of it is said by
`Changes`. An element that R4 does not have goes: nobody knows what is in it. Where what must be there goes,
an extension says why (https://hl7.org/fhir/R4/extension-data-absent-reason.html); nothing is left empty,
which FHIR forbids.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import Element, element_at, elements_of, structure_of

Change = Callable[[Json, str], Json]
"""Takes an element (one item of a list) and its path; returns what stands there now, None for nothing."""

ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# "not available due to security, privacy or related reasons", http://hl7.org/fhir/data-absent-reason
_MASKED: Final = {"extension": [{"url": ABSENT, "valueCode": "masked"}]}


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of elements: by path ("Patient.photo") before by type ("HumanName"); others are entered.

    Contained or enclosed resources of the types `left_out` go as a whole.
    """

    by_type: Mapping[str, Change]
    by_path: Mapping[str, Change] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()


def changed(resource: JsonObject, changes: Changes) -> JsonObject:
    """Return `resource` with `changes` made; the argument stays as it is."""
    made: JsonObject = {}
    kind = resource.get("resourceType")
    if isinstance(kind, str):
        made["resourceType"] = kind
        made |= changed_within({k: v for k, v in resource.items() if k != "resourceType"}, kind, changes)
    return made


def changed_within(content: JsonObject, path: str, changes: Changes) -> JsonObject:
    """Return the elements of `content`, which has the structure at `path`, with `changes` made."""
    made: JsonObject = {}
    for key, value in content.items():
        if key.startswith("_"):
            continue
        found = element_at(path, key)
        if found is None:
            continue
        element, type_name, inner = found
        kept, beside = _element(value, content.get(f"_{key}"), (element, type_name, inner), path, changes)
        if kept is not None:
            made[key] = kept
        if beside is not None:
            made[f"_{key}"] = beside
        if kept is None and beside is None and element.min > 0:
            made |= _absence(key, element, type_name)
    for key, value in content.items():  # a primitive that has an id or extensions and no value
        if key.startswith("_") and key[1:] not in content and (found := element_at(path, key[1:])):
            entered = _beside(value, changes)
            if entered is not None:
                made[key] = entered
    return made


def _element(
    value: Json, beside: Json, found: tuple[Element, str, str], path: str, changes: Changes
) -> tuple[Json, Json]:
    """Return what becomes of an element, and of what stands beside a primitive."""
    element, type_name, inner = found
    at = f"{path}.{element.name}"
    change = changes.by_path.get(at) or changes.by_type.get(type_name)
    items = value if isinstance(value, list) else [value]
    if _is_primitive(type_name):
        kept = [item if change is None or item is None else change(item, at) for item in items]
        if kept != items or beside is None:
            # what stands beside a value may tell it
            left = [item for item in kept if item is not None]
            return (left or None) if isinstance(value, list) else kept[0], None
        return value, _beside(beside, changes)
    made: list[Json] = []
    for item in items:
        if not isinstance(item, dict):
            continue
        if change is not None:
            now = change(item, at)
        elif type_name == "Resource":
            now = None if item.get("resourceType") in changes.left_out else changed(item, changes)
        else:
            now = changed_within(item, inner, changes)
        if now:
            made.append(now)
    if not made:
        return None, None
    return (made if isinstance(value, list) else made[0]), None


def _beside(value: Json, changes: Changes) -> Json:
    """Return id and extensions of primitives with `changes` made, None where nothing is left."""
    if isinstance(value, list):
        items = [_beside(item, changes) for item in value]
        return items if any(item is not None for item in items) else None
    return changed_within(value, "Element", changes) or None if isinstance(value, dict) else None


def _absence(key: str, element: Element, type_name: str) -> JsonObject:
    """Return the element that must be there as one that says why it is not."""
    absent: Json = {"extension": [dict(each) for each in _MASKED["extension"]]}
    name = f"_{key}" if _is_primitive(type_name) else key
    return {name: [absent] if element.is_list else absent}


def _is_primitive(type_name: str) -> bool:
    structure = structure_of(type_name)
    return structure is not None and structure.kind == "primitive"


def types_on(path: str) -> frozenset[str]:
    """Return the data types on the way of a dotted `path` ("Patient.name.family"), its end included.

    Empty where R4 has no such path.
    """
    first, *names = path.split(".")
    at = {first}
    seen: set[str] = set()
    for name in names:
        following: set[str] = set()
        for place in at:
            for element, type_name, inner in elements_of(place).values():
                if element.name == name:
                    seen.add(type_name)
                    following.add(inner)
        at = following
    return frozenset(seen) if at else frozenset()
