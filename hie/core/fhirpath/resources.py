"""From JSON to nodes: the shape of a resource, and what stands in JSON that R4 does not define."""

from typing import Final

from hie.core.fhir.json import Json
from hie.core.fhirpath.node import Items, Node
from hie.core.fhirpath.shape import UNKNOWN, Shape, shape_of
from hie.core.fhirpath.values import decimal_value

# Shapes of R4's types as they are met, one look-up each.
_RESOURCES: Final[dict[str, Shape]] = {}


def node_of(value: Json, type_path: str | None = None) -> Node:
    """Return the node of a resource, or of an element whose content is that of `type_path`."""
    if type_path is not None and type_path not in {"Resource", "DomainResource"}:
        return Node(value, shape_of(type_path))
    return Node(value, resource_shape(value))


def resource_shape(value: Json) -> Shape:
    """Return the shape that a resource names; one without known children where R4 has no such type."""
    name = value.get("resourceType") if value.__class__ is dict else None
    if name.__class__ is not str:
        return UNKNOWN
    shape = _RESOURCES.get(name)
    if shape is None:
        shape = shape_of(name)
        if shape is UNKNOWN:
            return Shape(name)
        _RESOURCES[name] = shape
    return shape


def undefined_items(value: Json, parent: Node | None, key: str) -> Items:
    """Return what stands at `key` where R4 defines nothing: System values, and nodes without type."""
    found: Items = []
    is_list = value.__class__ is list
    for index, one in enumerate(value if is_list else [value]):
        if one.__class__ is dict:
            place = None if parent is None else (parent, key, index if is_list else None)
            found.append(Node(one, resource_shape(one), None, place))
        elif one.__class__ is float:
            found.append(decimal_value(one))
        elif one is not None and one.__class__ is not list:
            found.append(one)
    return found
