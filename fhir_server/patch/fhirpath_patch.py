"""FHIRPath Patch on a resource (https://hl7.org/fhir/R4/fhirpatch.html).

A path leads to elements of the resource itself: one for `add` and `replace`, at most one for `delete`, those
of one list for `insert` and `move`. Elements that a deletion leaves empty go with it. All operations are
applied or none: the resource that is given never changes. Whether the result is a valid resource is not
looked at.
"""

from collections.abc import Callable
from typing import Final

from fhir_server.patch import element
from fhir_server.patch.json_copy import copied
from fhir_server.patch.operation import Operation, Value, operations_of
from hie.core.errors import ExchangeError
from hie.core.fhir.json import JsonObject
from hie.core.fhirpath.expression import list_at
from hie.core.fhirpath.node import Node
from hie.core.fhirpath.shape import Shape, Variant
from hie.core.language_errors import FhirPathError, PatchError


def apply_fhirpath_patch(resource: JsonObject, parameters: JsonObject) -> JsonObject:
    """Return `resource` with the operations of a Parameters resource applied, in order.

    Raises PatchSyntaxError where the Parameters are no patch, FhirPathError where a path cannot be evaluated,
    and PatchError where an operation cannot be done; each names the operation, from 0, and its path.
    """
    document = copied(resource)
    for number, operation in enumerate(operations_of(parameters)):
        place = f"Parameters.parameter[{number}]"
        what = f"Operation {number} (`{operation.type}` at `{operation.path.text}`)"
        try:
            _WORK[operation.type](document, operation)
        except (PatchError, FhirPathError) as error:
            raise _located(error, what, place) from error
        except RecursionError as error:
            raise PatchError(f"{what}: the resource is nested too deeply", expression=place) from error
    return document  # type: ignore[no-any-return] # a copy of an object


def _located(error: ExchangeError, what: str, place: str) -> ExchangeError:
    return type(error)(f"{what}: {error.message}", expression=place)


def _add(document: JsonObject, operation: Operation) -> None:
    node = _single(document, operation)
    if node is None:
        raise PatchError("the path leads to no element")
    variants = element.variants_of(node.shape, operation.name)
    variant, content = element.content_for(variants, operation.name, _value_of(operation))
    holder = element.holder_of(node)
    if variant.is_list:
        element.append(holder, variant, content)
    elif any(one.key in holder for one in variants):
        raise PatchError(f"`{operation.name}` exists and does not repeat")
    else:
        element.set_single(holder, variant, content)


def _insert(document: JsonObject, operation: Operation) -> None:
    holder, variant = _list(document, operation)
    length = element.length_of(holder, variant)
    if operation.index > length:
        raise PatchError(f"the index {operation.index} is beyond the list of {length}")
    _, content = element.content_for((variant,), variant.key, _value_of(operation))
    element.insert(holder, variant, operation.index, content)


def _delete(document: JsonObject, operation: Operation) -> None:
    node = _single(document, operation)
    if node is not None:  # to delete what is not there is no error
        element.delete(node)


def _replace(document: JsonObject, operation: Operation) -> None:
    node = _single(document, operation)
    if node is None:
        raise PatchError("the path leads to no element")
    if node.parent is None:
        raise PatchError("the resource itself cannot be replaced")
    parent = node.parent.shape
    known = next(
        (
            (name, variants)
            for name, variants in _children(parent)
            if any(one.key == node.key for one in variants)
        ),
        None,
    )
    if known is None:
        raise PatchError(f"`{node.key}` is no element of {parent.path}")
    name, variants = known
    variant, content = element.content_for(variants, name, _value_of(operation))
    if variant.key != node.key:  # a choice of another type takes the place of the old one
        element.set_content(node, element.Content(None))
        element.set_single(element.holder_of(node.parent), variant, content)
    else:
        element.set_content(node, content)


def _move(document: JsonObject, operation: Operation) -> None:
    holder, variant = _list(document, operation)
    length = element.length_of(holder, variant)
    if max(operation.source, operation.destination) >= length:
        raise PatchError(f"{operation.source} or {operation.destination} is beyond the list of {length}")
    content = element.remove_from(holder, variant, operation.source)
    element.insert(holder, variant, operation.destination, content)


_WORK: Final[dict[str, Callable[[JsonObject, Operation], None]]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _value_of(operation: Operation) -> Value:
    if operation.value is None:
        raise PatchError("the value is missing")
    return operation.value


def _children(shape: Shape) -> list[tuple[str, tuple[Variant, ...]]]:
    return list(shape.children().items())


def _single(document: JsonObject, operation: Operation) -> Node | None:
    nodes = _nodes(document, operation)
    if len(nodes) > 1:
        raise PatchError(f"the path leads to {len(nodes)} elements")
    return nodes[0] if nodes else None


def _nodes(document: JsonObject, operation: Operation) -> list[Node]:
    nodes = operation.path.nodes(document)
    for node in nodes:
        root = node
        while root.parent is not None:
            root = root.parent
        if root.value is not document:
            raise PatchError("the path leads out of the resource")
    return nodes


def _list(document: JsonObject, operation: Operation) -> tuple[JsonObject, Variant]:
    """Return the object and the JSON name of the list that the path leads to, be it empty."""
    nodes = _nodes(document, operation)
    if nodes:
        first = nodes[0]
        if first.parent is None or any(node.parent is None or node.key != first.key for node in nodes):
            raise PatchError("the path leads to no list")
        if (
            first.index is None
            or len({id(element.holder_of(node.parent)) for node in nodes if node.parent}) > 1
        ):
            raise PatchError("the path leads to elements that are not of one list")
        return element.holder_of(first.parent), Variant(first.key, first.shape, is_list=True)
    found = list_at(operation.path, document)
    if found is None:
        raise PatchError("the path leads to no list")
    node, name = found
    variant = element.variants_of(node.shape, name)[0]
    if not variant.is_list:
        raise PatchError(f"`{name}` does not repeat")
    return element.holder_of(node), variant
