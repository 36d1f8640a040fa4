"""Makes resources good and bad: least valid objects, values of each primitive type, seeded mutations."""

from copy import deepcopy
from decimal import Decimal
from random import Random

from fhir_server.definitions.bindings import required_codes
from fhir_server.validation.definition import ANY_RESOURCE, PRIMITIVE_TYPES, Element, TypeDefinition
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from tests.fhir_server.validation.referee import definition_of, objects

GOOD_VALUES: dict[str, list[Json]] = {
    "base64Binary": ["YQ==", "YWJj", " YWJj\nYWJj "],
    "boolean": [True, False],
    "canonical": ["http://hie.example/ValueSet/a|1.0", "#a"],
    "code": ["a", "a b", "final"],
    "date": ["2024", "2024-02", "2024-02-29"],
    "dateTime": [
        "2024",
        "2024-02",
        "2024-02-29",
        "2024-02-29T23:59:60+14:00",
        "2015-02-07T13:28:17.2391234567Z",
    ],
    "decimal": [0, -1, 1.5, Decimal("1.10"), Decimal("1E+2"), 10**30],
    "id": ["a", "A-1.b", "a" * 64],
    "instant": ["2024-02-29T10:00:00Z", "2015-02-07T13:28:17.239+02:00"],
    "integer": [0, -(2**31), 2**31 - 1],
    "markdown": ["*a*", "\n", "　"],
    "oid": ["urn:oid:1.2.840.0"],
    "positiveInt": [1, 2**31 - 1],
    "string": ["a", " ", "张", "a　", "a\tb\r\n", "\x7f"],
    "time": ["10:00:00", "23:59:60.5"],
    "unsignedInt": [0, 2**31 - 1],
    "uri": ["http://hie.example/a", "urn:oid:1.2", "a"],
    "url": ["http://hie.example/a", "mailto:a@hie.example", "Patient/1"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml">a</div>'],
}

_EXTENSION: JsonObject = {"url": "http://hie.example/extension", "valueString": "a"}

ANY_VALUES: list[Json] = [
    *[value for values in GOOD_VALUES.values() for value in values],
    *(None, [], {}, "", [None], [{}], [[]], [""], [None, "a"], ["a", None], ["a"], [1], [True]),
    *("true", "5", "1.5", 5.0, 1e22, 1e-7, 2**31, -1, 10**400, Decimal("0E-10")),
    *("2024-13", "2023-02-29", "0000", "2024-1-1", "2024-02-29T10:00:00", "2024-02-29T24:00:00Z", "24:00:00"),
    *("2024-02-29T10:00Z", "2024-02-30T10:00:60Z", "2024-02-29 ", "2024-02-29\n", "10:00", "10:00:00Z"),
    *("a  b", " a", "a ", "a\n", "a\tb", "a_b", "a" * 65, "a" * 256, "\xa0", "\x0b", "　", "\x85"),
    *("\x1c", "\x00", "a\x00b", "a\x1fb", "YQ=\x1c=", "http://hie.example/a\x01", "\ufffe"),
    *("urn:oid:1", "urn:oid:1.02", "YQ", "!!!!", "YQ==YQ==", "a_-b", "http://hie.example/a b"),
    *("urn:uuid:c757873d-ec9a-1326-a141-556f43239520", "c757873d-ec9a-4326-a141-556f43239520"),
    *({"id": "a"}, {"extension": [_EXTENSION]}, {"extension": []}, {"extension": [_EXTENSION, None]}),
    *([{"id": "a"}], [None, {"id": "a"}], [{"extension": [_EXTENSION]}], {"fhir_comments": ["a"]}),
    *({"text": "a"}, [{"text": "a"}], {"reference": "Patient/1"}, {"resourceType": "Basic"}, '{"text":"a"}'),
    *(
        {"resourceType": "Patient"},
        {"resourceType": "Foo"},
        {"resourceType": 5},
        {"resourceType": "Resource"},
    ),
    *({"resourceType": "Quantity"}, {"resourceType": None}, {"resourceType": "MedicinalProduct"}, _EXTENSION),
]


def least(type_name: str, random: Random) -> Json:
    """Return the smallest valid value of a type: required elements only."""
    if type_name in PRIMITIVE_TYPES:
        return random.choice(GOOD_VALUES[type_name])
    if type_name == ANY_RESOURCE:
        return {"resourceType": "Basic", "code": {"text": "a"}}
    if type_name == "FHIRPrimitiveExtension":
        return {"extension": [_EXTENSION]}
    definition = definition_of(type_name, None)
    if definition is None:
        raise LookupError(type_name)
    value: JsonObject = {"resourceType": type_name} if definition.is_resource else {}
    for element in definition.elements:
        if element.is_required and not _is_later_form(element, definition):
            value[element.name] = one_or_many(element, least_of(element, definition, random))
    return value or {"id": "a"}


def least_of(element: Element, definition: TypeDefinition, random: Random) -> Json:
    """Return the smallest valid value of `element`, one of its value set where it is bound to one."""
    codes = required_codes(definition.name, element.choice or element.name)
    if codes is None:
        return least(element.type, random)
    system = random.choice(sorted(codes.codes))
    code = random.choice(sorted(codes.codes[system]))
    return code if element.type == "code" else {"coding": [{"system": system, "code": code}]}


def one_or_many(element: Element, value: Json) -> Json:
    """Return `value` as `element` holds it."""
    return [value] if element.is_list else value


def _is_later_form(element: Element, definition: TypeDefinition) -> bool:
    return element.choice is not None and definition.choices()[element.choice][0] != element


def copy(value: Json) -> Json:
    """Return a deep copy through JSON, decimals kept."""
    return loads(dumps(value))


def _any_value(random: Random) -> Json:
    """Return a value of its own: one that is shared would grow by later changes, into itself too."""
    return deepcopy(random.choice(ANY_VALUES))


def mutate(resource: JsonObject, random: Random) -> str:  # noqa: C901, PLR0911  # one return for each kind
    """Change `resource` in place, once, and say how."""
    candidates = objects(ANY_RESOURCE, resource)
    if not candidates:
        return "is no resource any more"
    value, definition = random.choice(candidates)
    names = [name for name in value if name != "resourceType"]
    name = random.choice(names) if names else "id"
    element = random.choice(definition.elements)
    match random.randrange(9):
        case 0:
            value.pop(name, None)
            return f"{definition.name}: without {name}"
        case 1:
            value[name] = _any_value(random)
            return f"{definition.name}.{name} = {value[name]!r}"
        case 2:
            value[name] = [value.get(name)]
            return f"{definition.name}.{name} as an array"
        case 3:
            found = value.get(name)
            value[name] = found[0] if isinstance(found, list) and found else {"value": found}
            return f"{definition.name}.{name} as one"
        case 4:
            value[element.name] = _any_value(random)
            return f"{definition.name}.{element.name} = {value[element.name]!r}"
        case 5:
            value[element.name] = one_or_many(element, deepcopy(least_of(element, definition, random)))
            return f"{definition.name}.{element.name} added"
        case 6:
            value[f"_{element.name}"] = _any_value(random)
            return f"{definition.name}._{element.name} = {value[f'_{element.name}']!r}"
        case 7:
            unknown = random.choice(
                ["foo", "resourceType", "fhir_comments", "resource_type", "active__ext", ""]
            )
            value[unknown] = random.choice(["Patient", "a", 1])
            return f"{definition.name}.{unknown} = {value[unknown]!r}"
        case _:
            found = value.get(name)
            if isinstance(found, list):
                found.insert(random.randrange(len(found) + 1), _any_value(random))
            else:
                value[name] = [found, found]
            return f"{definition.name}.{name}: {value[name]!r}"
