"""The fields that objects have in GraphQL: the elements of R4, those of a connection, and the names of types.

https://hl7.org/fhir/R4/graphql.html#fields, #searching. An element has its name of
JSON, also with the underscore of a primitive's extensions.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from hie.core.fhir.structure import elements_of, is_subtype, resource_types, structure_of

CONNECTION: Final = "Connection"
EDGE: Final = "Edge"
ANY_RESOURCE: Final = "Resource"
REFERENCE: Final = "Reference"
BOOLEAN: Final = "boolean"
# Fields that are no element of FHIR.
RESOURCE_TYPE: Final = "resourceType"
TYPE_NAME: Final = "__typename"
RESOURCE: Final = "resource"
# Types of resources that hold other types: R4's abstract ones.
_ABSTRACT: Final = frozenset({"Resource", "DomainResource"})


@dataclass(frozen=True, slots=True)
class ElementField:
    """A field that the JSON of an object holds.

    `key` is its name there; `path` the type of a primitive ("code"), or what `element_at` calls the path of
    its content ("HumanName", "Patient.contact"); `targets` are those of a Reference, empty for any.
    """

    key: str
    path: str
    is_list: bool
    is_primitive: bool
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """What ``PatientList`` and ``PatientConnection`` name."""

    resource_type: str
    form: Literal["List", "Connection"]


_SCALARS_OF_CONNECTION: Final = {
    "count": ElementField("count", "unsignedInt", is_list=False, is_primitive=True),
    "offset": ElementField("offset", "unsignedInt", is_list=False, is_primitive=True),
    "pagesize": ElementField("pagesize", "unsignedInt", is_list=False, is_primitive=True),
    "first": ElementField("first", "string", is_list=False, is_primitive=True),
    "previous": ElementField("previous", "string", is_list=False, is_primitive=True),
    "next": ElementField("next", "string", is_list=False, is_primitive=True),
    "last": ElementField("last", "string", is_list=False, is_primitive=True),
}
_SCALARS_OF_EDGE: Final = {
    "mode": ElementField("mode", "code", is_list=False, is_primitive=True),
    "score": ElementField("score", "decimal", is_list=False, is_primitive=True),
}


@cache
def fields_at(path: str) -> dict[str, ElementField]:
    """Return the fields of an object whose content is that of `path`, by name.

    A connection of Patients is at ``Connection/Patient``, and its edges at ``Edge/Patient``.
    """
    kind, _, resource_type = path.partition("/")
    if kind == CONNECTION and resource_type:
        edges = ElementField("edges", f"{EDGE}/{resource_type}", is_list=True, is_primitive=False)
        return {**_SCALARS_OF_CONNECTION, "edges": edges}
    if kind == EDGE and resource_type:
        resource = ElementField("resource", resource_type, is_list=False, is_primitive=False)
        return {**_SCALARS_OF_EDGE, "resource": resource}
    found: dict[str, ElementField] = {}
    if is_resource(path):
        found[RESOURCE_TYPE] = ElementField(RESOURCE_TYPE, "code", is_list=False, is_primitive=True)
    for key, (element, type_name, content) in elements_of(path).items():
        structure = structure_of(type_name)
        is_primitive = structure is not None and structure.kind == "primitive"
        found[key] = ElementField(key, content, element.is_list, is_primitive, element.targets)
        if is_primitive:
            found[f"_{key}"] = ElementField(f"_{key}", "Element", element.is_list, is_primitive=False)
    return found


def is_resource(path: str) -> bool:
    """Say whether `path` is a type of resource, or any."""
    return path in resource_types() or path in _ABSTRACT


def types_under(path: str, condition: str | None = None) -> frozenset[str]:
    """Return what objects at `path` may be, as far as they meet the type `condition` of a fragment."""
    found = resource_types() if path in _ABSTRACT else frozenset({path})
    return found if condition is None else frozenset(each for each in found if meets(each, condition))


def meets(path: str, condition: str) -> bool:
    """Say whether an object at `path` is of the type that a fragment names ("Patient", "PatientContact")."""
    return type_name(path) == condition or is_subtype(path, condition)


def is_type(name: str) -> bool:
    """Say whether `name` is a type that a fragment may name."""
    return structure_of(name) is not None or name in _backbones()


def type_name(path: str) -> str:
    """Return the name of the type at `path` in GraphQL: ``PatientContact`` for ``Patient.contact``."""
    if "/" in path:
        kind, _, resource_type = path.partition("/")
        return resource_type + kind
    return "".join(part[0].upper() + part[1:] for part in path.split(".")) if "." in path else path


def search_of(name: str) -> Search | None:
    """Return the search that a field names, None for another field."""
    if name.endswith("Connection") and name.removesuffix("Connection") in resource_types():
        return Search(name.removesuffix("Connection"), "Connection")
    if name.endswith("List") and name.removesuffix("List") in resource_types():
        return Search(name.removesuffix("List"), "List")
    return None


@cache
def _backbones() -> frozenset[str]:
    """Return the GraphQL names of all contents that have no type of their own."""
    found: set[str] = set()
    waiting = [
        *resource_types(),
        "Dosage",
        "ElementDefinition",
        "DataRequirement",
        "Timing",
        "SubstanceAmount",
    ]
    while waiting:
        path = waiting.pop()
        for _, _, content in elements_of(path).values():
            if "." in content and type_name(content) not in found:
                found.add(type_name(content))
                waiting.append(content)
    return frozenset(found)
