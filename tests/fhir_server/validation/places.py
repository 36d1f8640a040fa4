"""Where the validator may differ from fhir.resources: predicates on the places of a walk.

Written against the JSON and the specification, not against the validator's code. What each is good for,
and why, is in `differences.py`.
"""

import re
from decimal import Decimal
from functools import cache

from fhir_server.definitions.bindings import bindings
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.value_sets import value_set
from fhir_server.validation import r4
from fhir_server.validation.definition import ANY_RESOURCE, PRIMITIVE_TYPES
from tests.fhir_server.validation.referee import Place

_NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
URIS = frozenset({"uri", "url", "canonical"})
# The Unicode property White_Space; Python's \s adds four control characters to it.
WHITE_SPACE = re.compile(r"[^\S\x1c-\x1f]")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UUID_URI = re.compile(
    r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
# What XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets), surrogates apart.
_CONTROL = frozenset(map(chr, range(32))) - set("\t\r\n") | {"\ufffe", "\uffff"}


def _is_value(place: Place) -> bool:
    """Say whether the place holds the value of a primitive, or one of its values."""
    return (
        place.element is not None
        and not place.is_sibling
        and place.element.type in PRIMITIVE_TYPES
        and (place.in_array or not place.element.is_list)
    )


def type_at(place: Place) -> str:
    return place.element.type if place.element is not None and _is_value(place) else ""


def has_control_character(place: Place) -> bool:
    """Say whether the place holds text with a control character but tab and line ends, U+FFFE or U+FFFF."""
    return _is_value(place) and isinstance(place.value, str) and not _CONTROL.isdisjoint(place.value)


def is_null(place: Place) -> bool:
    if place.value is not None:
        return False
    is_array_of_primitives = place.element is not None and (
        place.is_sibling or place.element.type in PRIMITIVE_TYPES
    )
    return not (place.in_array and is_array_of_primitives)


def has_open_gap(place: Place) -> bool:
    if (
        not isinstance(place.value, list)
        or None not in place.value
        or place.in_array
        or place.element is None
    ):
        return False
    twin = place.parent.get(place.name[1:] if place.is_sibling else f"_{place.name}")
    other = twin if isinstance(twin, list) else []
    return any(
        item is None and (position >= len(other) or other[position] is None)
        for position, item in enumerate(place.value)
    )


def is_converted(place: Place) -> bool:
    kind, value = type_at(place), place.value
    if not kind or value is None:
        return False
    if kind == "boolean":
        return not isinstance(value, bool)
    if kind == "decimal":
        return isinstance(value, bool) or not isinstance(value, int | float | Decimal)
    if kind in _NUMBERS:
        return isinstance(value, bool) or not isinstance(value, int)
    return not isinstance(value, str)


def is_json_text(place: Place) -> bool:
    is_object = place.element is not None and (place.is_sibling or place.element.type not in PRIMITIVE_TYPES)
    return is_object and isinstance(place.value, str)


def is_unknown_name(place: Place) -> bool:
    return place.element is None and not (place.name == "resourceType" and place.owner.is_resource)


def is_foreign_resource(place: Place) -> bool:
    if place.element is None or place.element.type != ANY_RESOURCE or not isinstance(place.value, dict):
        return False
    return place.value.get("resourceType") not in R4_RESOURCE_TYPES


def has_two_forms(place: Place) -> bool:
    if place.element is None or place.element.choice is None:
        return False
    forms = {e.name for e in place.owner.elements if e.choice == place.element.choice}
    return len({name.removeprefix("_") for name in place.parent} & forms) > 1


def is_wrong_base64(place: Place) -> bool:
    text = place.value
    return (
        type_at(place) == "base64Binary"
        and isinstance(text, str)
        and _BASE64.fullmatch("".join(text.split())) is None
    )


def is_other_uuid(place: Place) -> bool:
    return (
        type_at(place) == "uuid"
        and isinstance(place.value, str)
        and _UUID_URI.fullmatch(place.value) is not None
        and not (place.value[23] == "4" and place.value[28] in "89abAB")
    )


def is_bare_uuid(place: Place) -> bool:
    return (
        type_at(place) == "uuid" and isinstance(place.value, str) and not place.value.startswith("urn:uuid:")
    )


def is_required_by_extension(place: Place) -> bool:
    element = place.element
    if (
        element is None
        or not place.is_sibling
        or not element.is_required
        or not isinstance(place.value, dict)
    ):
        return False
    return bool(place.value.get("extension")) and (element.is_list or element.choice is not None)


def is_defined_by_r4(place: Place) -> bool:
    return place.owner.name.partition(".")[0] in r4.names() and place.owner.name != "Extension"


def is_r4_extension(place: Place) -> bool:
    return place.owner.name == "Extension" and (
        place.is_sibling or place.name in {"valueMeta", "valueCodeableReference", "valueRatioRange", "_url"}
    )


def is_outside_value_set(place: Place) -> bool:
    element = place.element
    if element is None or place.is_sibling or (element.is_list and not place.in_array):
        return False
    path = _path(place.owner.name)
    binding = bindings().get(f"{path}.{element.choice or element.name}")
    listed = value_set(binding.value_set) if binding and binding.strength == "required" else None
    if listed is None or listed.is_open:
        return False
    if element.type == "code":
        # what is no code at all is refused for that, and not for the value set
        return isinstance(place.value, str) and listed.has(place.value) is False
    if element.type != "CodeableConcept" or not isinstance(place.value, dict):
        return False
    codings = place.value.get("coding")
    return not any(
        isinstance(coding, dict)
        and isinstance(coding.get("code"), str)
        and isinstance(coding.get("system"), str)
        and listed.has(coding["code"], coding["system"])
        for coding in (codings if isinstance(codings, list) else [])
    )


@cache
def _path(class_name: str) -> str:
    """Return the path of the element whose class fhir.resources calls `class_name`."""
    owners = {path.rpartition(".")[0] for path in bindings()}
    found = [o for o in owners if "".join(s[:1].upper() + s[1:] for s in o.split(".")) == class_name]
    return found[0] if found else class_name
