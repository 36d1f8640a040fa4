"""One instance of every resource type of R4 with every element that it may have, its texts a canary."""

from functools import cache
from typing import Final

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import elements_of, resource_types, structure_of

CANARY: Final = "canary"
# What stays of primitives: none of it can hold a text.
_HARMLESS: Final = {
    "boolean": True,
    "code": "final",
    "date": "1931-07-04",
    "dateTime": "1931-07-04T11:22:33+08:00",
    "instant": "1931-07-04T11:22:33.444+08:00",
    "time": "11:22:33",
    "decimal": 1.5,
    "integer": 3,
    "positiveInt": 3,
    "unsignedInt": 3,
}
_DEEPEST: Final = 5


def instance(resource_type: str) -> JsonObject:
    """Return the resource; each choice has its text where it may have one."""
    made: JsonObject = {"resourceType": resource_type, "id": "canary-id", **_content(resource_type, 0)}
    made.pop("modifierExtension", None)
    return made


@cache
def _content(path: str, depth: int) -> JsonObject:
    made: JsonObject = {}
    chosen: set[str] = set()
    for key, (element, type_name, inner) in elements_of(path).items():
        if element.name == "modifierExtension" or (element.is_choice and element.name in chosen):
            continue
        value = _value(type_name, inner, depth, element.name)
        if value is None:
            continue
        if element.is_choice and type_name not in ("string", "Reference", "HumanName"):
            continue
        chosen.add(element.name)
        made[key] = [value] if element.is_list else value
    return made


def _value(type_name: str, inner: str, depth: int, name: str) -> Json:
    if type_name in _HARMLESS:
        return _HARMLESS[type_name]
    structure = structure_of(type_name)
    if structure is not None and structure.kind == "primitive":
        return (
            f"http://{CANARY}.example/{name}"
            if type_name in ("uri", "url", "canonical")
            else f"{CANARY} {name}"
        )
    if depth >= _DEEPEST or (type_name == "Extension" and depth >= 2):
        return None
    if type_name == "Resource":
        return {"resourceType": "Patient", "id": CANARY, "name": [{"text": CANARY}]}
    if type_name == "Reference":
        return {"reference": f"Organization/{CANARY}", "display": CANARY, "identifier": {"value": CANARY}}
    return _content(inner, depth + 1) or None


def types() -> list[str]:
    """Return all resource types of R4, sorted."""
    return sorted(resource_types())
