"""Every deliberate difference between the validator and fhir.resources, with its reason.

Nothing else may differ: `test_same_as_fhir_resources.py` holds the two against each other and takes
a difference only where one of these rules applies. The rules are written against the JSON and the
specification, not against the validator's code.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.validation import places
from tests.fhir_server.validation.referee import Place

_JSON = "https://hl7.org/fhir/R4/json.html"
_DATATYPES = "https://hl7.org/fhir/R4/datatypes.html"


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
    applies=places.is_outside_value_set,
    example=_patient(gender="bad"),
)

DIFFERENCES = (
    OUTSIDE_VALUE_SET,
    Difference(
        "null",
        "properties never have null values, but for the places of arrays that the `_` twin fills",
        f"{_JSON}#null",
        is_stricter=True,
        applies=lambda place: places.is_null(place) or places.has_open_gap(place),
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
        applies=places.is_converted,
        example=_patient(active="true"),
    ),
    Difference(
        "object as text",
        "fhir.resources reads a string that holds JSON as the object; FHIR JSON does not",
        _JSON,
        is_stricter=True,
        applies=places.is_json_text,
        example=_patient(name=['{"family":"Example"}']),
    ),
    Difference(
        "names of Python and DSTU2",
        "fhir.resources takes its own field names (`active__ext`, `class_fhir`), `resource_type`, a "
        "`resourceType` in data types and DSTU2's `fhir_comments`; R4 defines none of them",
        _JSON,
        is_stricter=True,
        applies=places.is_unknown_name,
        example=_patient(fhir_comments=["a comment"]),
    ),
    Difference(
        "resource of no R4 type",
        "a resource inside another has a resourceType, and one of R4's concrete types",
        "https://hl7.org/fhir/R4/resource.html",
        is_stricter=True,
        applies=places.is_foreign_resource,
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
            places.type_at(place) == "id" and isinstance(place.value, str) and len(place.value) > 64
        ),
        example=_patient(id="a" * 65),
    ),
    Difference(
        "white space in a uri",
        r"uri, url and canonical match \S*; fhir.resources looks for that anywhere in the text",
        f"{_DATATYPES}#uri",
        is_stricter=True,
        applies=lambda place: (
            places.type_at(place) in places.URIS
            and isinstance(place.value, str)
            and places.WHITE_SPACE.search(place.value) is not None
        ),
        example=_patient(implicitRules="http://hie.example/a b"),
    ),
    Difference(
        "base64 with other letters",
        "base64Binary is RFC 4648; fhir.resources skips letters outside the alphabet",
        f"{_DATATYPES}#base64Binary",
        is_stricter=True,
        applies=places.is_wrong_base64,
        example=_patient(photo=[{"data": "!!!!"}]),
    ),
    Difference(
        "string of more than 1 MB",
        "strings SHALL NOT exceed 1024*1024 characters",
        f"{_DATATYPES}#string",
        is_stricter=True,
        applies=lambda place: (
            places.type_at(place) in {"string", "markdown"}
            and isinstance(place.value, str)
            and len(place.value) > 1024 * 1024
        ),
        example=_patient(name=[{"text": "a" * (1024 * 1024 + 1)}]),
    ),
    Difference(
        "control character",
        "strings should not contain characters below 32 but tab and line ends, and XML has no way to write "
        "them, nor U+FFFE and U+FFFF; what is stored can be shown in both formats",
        f"{_DATATYPES}#string",
        is_stricter=True,
        applies=places.has_control_character,
        example=_patient(name=[{"family": "a\x00b"}]),
    ),
    Difference(
        "two forms of a choice, one by extension only",
        "an element with a choice of types occurs once, in whatever form",
        "https://hl7.org/fhir/R4/formats.html#choice",
        is_stricter=True,
        applies=places.has_two_forms,
        example=_patient(deceasedBoolean=False, _deceasedDateTime={"id": "a"}),
    ),
    Difference(
        "uuid without its scheme",
        "a uuid is written as a URI, urn:uuid:...",
        f"{_DATATYPES}#uuid",
        is_stricter=True,
        applies=places.is_bare_uuid,
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
        applies=places.is_other_uuid,
        example=_extension(valueUuid="urn:uuid:c757873d-ec9a-1326-a141-556f43239520"),
    ),
    Difference(
        "required choice or array by extension only",
        "an extension may stand for the value of any required primitive; fhir.resources crashes on an "
        "array and does not look at choices",
        "https://hl7.org/fhir/R4/extensibility.html#Special-Case",
        is_stricter=False,
        applies=places.is_required_by_extension,
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
        applies=places.is_r4_extension,
        example=_extension(valueMeta={"versionId": "1"}),
    ),
    Difference(
        "type whose R4B class is not R4's",
        "the server speaks R4 4.0.1; these types are checked from its definitions, also inside others, "
        "where fhir.resources crashes on the names that it does not know",
        "https://hl7.org/fhir/R4/",
        is_stricter=False,
        applies=places.is_defined_by_r4,
        example={
            "resourceType": "Evidence",
            "status": "draft",
            "exposureBackground": {"reference": "EvidenceVariable/1"},
        },
    ),
)
