"""Every deliberate difference between the validator and fhir.resources, with its reason.

Nothing else may differ: `test_same_as_fhir_resources.py` holds the two against each other and takes
a difference only where one of these rules applies. The rules are written against the JSON and the
specification, not against the validator's code.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from fhir_server.definitions.bindings import bindings
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.value_sets import value_set
from fhir_server.validation import r4
from fhir_server.validation.definition import ANY_RESOURCE, PRIMITIVE_TYPES
from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.validation.referee import Place

_JSON = "https://hl7.org/fhir/R4/json.html"
_DATATYPES = "https://hl7.org/fhir/R4/datatypes.html"

_NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_URIS = frozenset({"uri", "url", "canonical"})
# The Unicode property White_Space; Python's \s adds four control characters to it.
_WHITE_SPACE = re.compile(r"[^\S\x1c-\x1f]")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_UUID_URI = re.compile(
    r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A rule by which the validator differs.

    `applies` looks at one place of a walk. `is_stricter` says that the validator refuses what
    fhir.resources takes; otherwise it takes what fhir.resources refuses or crashes on. `example` is
    a resource on which the two differ by this rule alone.
    """

    name: str
    reason: str
    source: str
    is_stricter: bool
    applies: Callable[[Place], bool]
    example: JsonObject


def _is_value(place: Place) -> bool:
    """Say whether the place holds the value of a primitive, or one of its values."""
    return (
        place.element is not None
        and not place.is_sibling
        and place.element.type in PRIMITIVE_TYPES
        and (place.in_array or not place.element.is_list)
    )


def _type_at(place: Place) -> str:
    return place.element.type if place.element is not None and _is_value(place) else ""


def _is_null(place: Place) -> bool:
    if place.value is not None:
        return False
    is_array_of_primitives = place.element is not None and (
        place.is_sibling or place.element.type in PRIMITIVE_TYPES
    )
    return not (place.in_array and is_array_of_primitives)


def _has_open_gap(place: Place) -> bool:
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


def _is_converted(place: Place) -> bool:
    kind, value = _type_at(place), place.value
    if not kind or value is None:
        return False
    if kind == "boolean":
        return not isinstance(value, bool)
    if kind == "decimal":
        return isinstance(value, bool) or not isinstance(value, int | float | Decimal)
    if kind in _NUMBERS:
        return isinstance(value, bool) or not isinstance(value, int)
    return not isinstance(value, str)


def _is_json_text(place: Place) -> bool:
    is_object = place.element is not None and (place.is_sibling or place.element.type not in PRIMITIVE_TYPES)
    return is_object and isinstance(place.value, str)


def _is_unknown_name(place: Place) -> bool:
    return place.element is None and not (place.name == "resourceType" and place.owner.is_resource)


def _is_foreign_resource(place: Place) -> bool:
    if place.element is None or place.element.type != ANY_RESOURCE or not isinstance(place.value, dict):
        return False
    return place.value.get("resourceType") not in R4_RESOURCE_TYPES


def _has_two_forms(place: Place) -> bool:
    if place.element is None or place.element.choice is None:
        return False
    forms = {e.name for e in place.owner.elements if e.choice == place.element.choice}
    return len({name.removeprefix("_") for name in place.parent} & forms) > 1


def _is_wrong_base64(place: Place) -> bool:
    text = place.value
    return (
        _type_at(place) == "base64Binary"
        and isinstance(text, str)
        and _BASE64.fullmatch("".join(text.split())) is None
    )


def _is_other_uuid(place: Place) -> bool:
    return (
        _type_at(place) == "uuid"
        and isinstance(place.value, str)
        and _UUID_URI.fullmatch(place.value) is not None
        and not (place.value[23] == "4" and place.value[28] in "89abAB")
    )


def _is_bare_uuid(place: Place) -> bool:
    return (
        _type_at(place) == "uuid" and isinstance(place.value, str) and not place.value.startswith("urn:uuid:")
    )


def _is_required_by_extension(place: Place) -> bool:
    element = place.element
    if (
        element is None
        or not place.is_sibling
        or not element.is_required
        or not isinstance(place.value, dict)
    ):
        return False
    return bool(place.value.get("extension")) and (element.is_list or element.choice is not None)


def _is_defined_by_r4(place: Place) -> bool:
    return place.owner.name.partition(".")[0] in r4.names() and place.owner.name != "Extension"


def _is_r4_extension(place: Place) -> bool:
    return place.owner.name == "Extension" and (
        place.is_sibling or place.name in {"valueMeta", "valueCodeableReference", "valueRatioRange", "_url"}
    )


def _is_outside_value_set(place: Place) -> bool:
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


def _patient(**elements: Json) -> JsonObject:
    return {"resourceType": "Patient", **elements}


def _extension(**value: Json) -> JsonObject:
    return _patient(extension=[{"url": "http://hie.example/extension", **value}])


def _nested(levels: int) -> JsonObject:
    extension: JsonObject = {"url": "http://hie.example/extension", "valueBoolean": True}
    for _ in range(levels):
        extension = {"url": "http://hie.example/extension", "extension": [extension]}
    return _patient(extension=[extension])


OUTSIDE_VALUE_SET = Difference(
    "code outside a required binding",
    "the concept in the element SHALL be from the value set; fhir.resources only documents it",
    "https://hl7.org/fhir/R4/terminologies.html#required",
    is_stricter=True,
    applies=_is_outside_value_set,
    example=_patient(gender="bad"),
)

DIFFERENCES = (
    OUTSIDE_VALUE_SET,
    Difference(
        "null",
        "properties never have null values, but for the places of arrays that the `_` twin fills",
        f"{_JSON}#null",
        is_stricter=True,
        applies=lambda place: _is_null(place) or _has_open_gap(place),
        example=_patient(birthDate=None),
    ),
    Difference(
        "empty",
        "objects and arrays are never empty, and strings have at least one character",
        _JSON,
        is_stricter=True,
        applies=lambda place: place.value in ("", [], {}) and not isinstance(place.value, bool),
        example=_patient(name=[]),
    ),
    Difference(
        "conversion",
        "a boolean is a JSON boolean, a number a JSON number, all else a JSON string; nothing is converted",
        f"{_JSON}#primitive",
        is_stricter=True,
        applies=_is_converted,
        example=_patient(active="true"),
    ),
    Difference(
        "object as text",
        "fhir.resources reads a string that holds JSON as the object; FHIR JSON does not",
        _JSON,
        is_stricter=True,
        applies=_is_json_text,
        example=_patient(name=['{"family":"Example"}']),
    ),
    Difference(
        "names of Python and DSTU2",
        "fhir.resources takes its own field names (`active__ext`, `class_fhir`), `resource_type`, a "
        "`resourceType` in data types and DSTU2's `fhir_comments`; R4 defines none of them",
        _JSON,
        is_stricter=True,
        applies=_is_unknown_name,
        example=_patient(fhir_comments=["a comment"]),
    ),
    Difference(
        "resource of no R4 type",
        "a resource inside another has a resourceType, and one of R4's concrete types",
        "https://hl7.org/fhir/R4/resource.html",
        is_stricter=True,
        applies=_is_foreign_resource,
        example=_patient(
            contained=[
                {
                    "resourceType": "Ingredient",
                    "role": {"text": "a"},
                    "status": "active",
                    "substance": {"code": {"concept": {"text": "b"}}},
                }
            ]
        ),
    ),
    Difference(
        "id of more than 64 characters",
        "id has a length limit of 64 characters; fhir.resources takes 255",
        f"{_DATATYPES}#id",
        is_stricter=True,
        applies=lambda place: (
            _type_at(place) == "id" and isinstance(place.value, str) and len(place.value) > 64
        ),
        example=_patient(id="a" * 65),
    ),
    Difference(
        "white space in a uri",
        r"uri, url and canonical match \S*; fhir.resources looks for that anywhere in the text",
        f"{_DATATYPES}#uri",
        is_stricter=True,
        applies=lambda place: (
            _type_at(place) in _URIS
            and isinstance(place.value, str)
            and _WHITE_SPACE.search(place.value) is not None
        ),
        example=_patient(implicitRules="http://hie.example/a b"),
    ),
    Difference(
        "base64 with other letters",
        "base64Binary is RFC 4648; fhir.resources skips letters outside the alphabet",
        f"{_DATATYPES}#base64Binary",
        is_stricter=True,
        applies=_is_wrong_base64,
        example=_patient(photo=[{"data": "!!!!"}]),
    ),
    Difference(
        "string of more than 1 MB",
        "strings SHALL NOT exceed 1024*1024 characters",
        f"{_DATATYPES}#string",
        is_stricter=True,
        applies=lambda place: (
            _type_at(place) in {"string", "markdown"}
            and isinstance(place.value, str)
            and len(place.value) > 1024 * 1024
        ),
        example=_patient(name=[{"text": "a" * (1024 * 1024 + 1)}]),
    ),
    Difference(
        "two forms of a choice, one by extension only",
        "an element with a choice of types occurs once, in whatever form",
        "https://hl7.org/fhir/R4/formats.html#choice",
        is_stricter=True,
        applies=_has_two_forms,
        example=_patient(deceasedBoolean=False, _deceasedDateTime={"id": "a"}),
    ),
    Difference(
        "uuid without its scheme",
        "a uuid is written as a URI, urn:uuid:...",
        f"{_DATATYPES}#uuid",
        is_stricter=True,
        applies=_is_bare_uuid,
        example=_extension(valueUuid="c757873d-ec9a-4326-a141-556f43239520"),
    ),
    Difference(
        "more than 100 levels of elements",
        "the server bounds the work for one resource; fhir.resources crashes some levels further down",
        "https://hl7.org/fhir/R4/valueset-issue-type.html#too-costly",
        is_stricter=True,
        applies=lambda place: place.depth > 100,
        example=_nested(100),
    ),
    Difference(
        "uuid of another version than 4",
        "R4 knows no version of UUID",
        f"{_DATATYPES}#uuid",
        is_stricter=False,
        applies=_is_other_uuid,
        example=_extension(valueUuid="urn:uuid:c757873d-ec9a-1326-a141-556f43239520"),
    ),
    Difference(
        "required choice or array by extension only",
        "an extension may stand for the value of any required primitive; fhir.resources crashes on an "
        "array and does not look at choices",
        "https://hl7.org/fhir/R4/extensibility.html#Special-Case",
        is_stricter=False,
        applies=_is_required_by_extension,
        example={
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"text": "BCG"},
            "patient": {"reference": "Patient/1"},
            "_occurrenceDateTime": {
                "extension": [{"url": "http://hie.example/absent", "valueCode": "unknown"}]
            },
        },
    ),
    Difference(
        "Extension as R4 defines it",
        "R4 has valueMeta and extensions of primitive values, not valueCodeableReference and valueRatioRange",
        "https://hl7.org/fhir/R4/extensibility.html#Extension",
        is_stricter=False,
        applies=_is_r4_extension,
        example=_extension(valueMeta={"versionId": "1"}),
    ),
    Difference(
        "type whose R4B class is not R4's",
        "the server speaks R4 4.0.1; these types are checked from its definitions, also inside others, "
        "where fhir.resources crashes on the names that it does not know",
        "https://hl7.org/fhir/R4/",
        is_stricter=False,
        applies=_is_defined_by_r4,
        example={
            "resourceType": "Evidence",
            "status": "draft",
            "exposureBackground": {"reference": "EvidenceVariable/1"},
        },
    ),
)
