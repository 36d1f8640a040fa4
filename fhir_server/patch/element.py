"""Elements in JSON, with the extensions of primitives beside them: set, inserted and taken away together.

https://hl7.org/fhir/R4/json.html#primitive: ``given`` and ``_given`` are one list in two.
"""

from dataclasses import dataclass

from fhir_server.patch.json_copy import copied
from fhir_server.patch.operation import Value
from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.node import Node
from hie.core.fhirpath.shape import Shape, Variant, shape_of
from hie.core.language_errors import PatchError


@dataclass(frozen=True, slots=True)
class Content:
    """What stands in an element: `value`, and `extra`, which only primitives have."""

    value: Json
    extra: JsonObject | None = None


def holder_of(node: Node) -> JsonObject:
    """Return the object that the children of `node` stand in; a primitive gets one where it has none."""
    if not node.shape.is_primitive:
        return node.value  # type: ignore[no-any-return] # nodes of complex types are objects
    if node.extra is not None:
        return node.extra
    if node.parent is None:
        raise PatchError("a value that is no element cannot be changed")
    extra: JsonObject = {}
    set_content(node, Content(node.value, extra))
    node.extra = extra
    return extra


def variants_of(shape: Shape, name: str) -> tuple[Variant, ...]:
    """Return the JSON names of child `name`, or that one (`valueQuantity`). Raises PatchError."""
    known = shape_of("Element") if shape.is_primitive else shape
    variants = known.children().get(name)
    if variants is None:
        variant = known.by_key().get(name)
        if variant is None or name.startswith("_"):
            raise PatchError(f"`{name}` is no element of {shape.path}")
        variants = (variant,)
    return variants


def content_for(variants: tuple[Variant, ...], name: str, value: Value) -> tuple[Variant, Content]:
    """Return which of `variants` takes `value`, and the content it is there. Raises PatchError."""
    is_choice = variants[0].key != name and len(variants) > 1
    if is_choice:
        variant = next((one for one in variants if one.key == name + value.suffix), None)
        if variant is None:
            raise PatchError(f"`{name}` takes no {value.suffix or 'value without type'}")
    else:
        variant = variants[0]
    if value.parts is not None:
        if variant.shape.is_primitive:
            raise PatchError(f"`{name}` is a {variant.shape.name} and has no parts")
        return variant, Content(_of_parts(variant.shape, value.parts))
    if variant.shape.is_primitive is isinstance(value.json, dict):
        raise PatchError(
            f"`{name}` is a {variant.shape.name or 'resource'}, not a {value.suffix or 'resource'}"
        )
    return variant, Content(copied(value.json), copied(value.extra))


def append(holder: JsonObject, variant: Variant, content: Content) -> None:
    """Put `content` at the end of a list."""
    insert(holder, variant, length_of(holder, variant), content)


def insert(holder: JsonObject, variant: Variant, index: int, content: Content) -> None:
    """Put `content` into a list before what stands at `index`."""
    values, extras = _lists(holder, variant)
    values.insert(index, content.value)
    extras.insert(index, content.extra)
    _store(holder, variant, values, extras)


def remove_from(holder: JsonObject, variant: Variant, index: int) -> Content:
    """Take what stands at `index` out of a list."""
    values, extras = _lists(holder, variant)
    content = Content(values.pop(index), extras.pop(index))
    _store(holder, variant, values, extras)
    return content


def length_of(holder: JsonObject, variant: Variant) -> int:
    """Return how many elements a list has."""
    return len(_lists(holder, variant)[0])


def set_single(holder: JsonObject, variant: Variant, content: Content) -> None:
    """Set an element that does not repeat."""
    _put(holder, variant.key, content.value)
    if variant.extra is not None:
        _put(holder, variant.extra, content.extra)


def set_content(node: Node, content: Content) -> None:
    """Set what stands in the element that `node` is."""
    if node.parent is None:
        raise PatchError("the resource itself cannot be replaced")
    holder = holder_of(node.parent)
    variant = Variant(node.key, node.shape, is_list=node.index is not None)
    if node.index is None:
        set_single(holder, variant, content)
        return
    values, extras = _lists(holder, variant)
    values[node.index], extras[node.index] = content.value, content.extra
    _store(holder, variant, values, extras)


def delete(node: Node) -> None:
    """Take away the element that `node` is, and every element above that is empty then."""
    if node.parent is None:
        raise PatchError("the resource itself cannot be deleted")
    holder = holder_of(node.parent)
    variant = Variant(node.key, node.shape, is_list=node.index is not None)
    if node.index is None:
        set_single(holder, variant, Content(None))
    else:
        remove_from(holder, variant, node.index)
    _prune(node.parent)


def _prune(node: Node) -> None:
    # https://hl7.org/fhir/R4/datatypes.html#Element, ele-1: an element has a value or children
    if node.parent is None:
        return
    if node.shape.is_primitive:
        if not node.extra:
            content = Content(node.value)
            delete(node) if node.value is None else set_content(node, content)
    elif not node.value:
        delete(node)


def _lists(holder: JsonObject, variant: Variant) -> tuple[list[Json], list[Json]]:
    """Return copies of the values and the extras, of one length."""
    value = holder.get(variant.key)
    extra = holder.get(variant.extra) if variant.extra is not None else None
    values = list(value) if isinstance(value, list) else [] if value is None else [value]
    extras = list(extra) if isinstance(extra, list) else [] if extra is None else [extra]
    length = max(len(values), len(extras))
    return values + [None] * (length - len(values)), extras + [None] * (length - len(extras))


def _store(holder: JsonObject, variant: Variant, values: list[Json], extras: list[Json]) -> None:
    _put(holder, variant.key, values if any(value is not None for value in values) else None)
    if variant.extra is not None:
        _put(holder, variant.extra, extras if any(extras) else None)


def _put(holder: JsonObject, key: str, value: Json) -> None:
    if value is None:
        holder.pop(key, None)
    else:
        holder[key] = value


def _of_parts(shape: Shape, parts: tuple[tuple[str, Value], ...]) -> JsonObject:
    """Return the object that has `parts` as children."""
    holder: JsonObject = {}
    for name, value in parts:
        variant, content = content_for(variants_of(shape, name), name, value)
        if variant.is_list:
            append(holder, variant, content)
        elif variant.key in holder:
            raise PatchError(f"`{name}` stands twice in {shape.path}")
        else:
            set_single(holder, variant, content)
    return holder
