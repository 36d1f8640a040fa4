"""From items to their children: by name, all of them (https://hl7.org/fhirpath/N1/#path-selection).

A run of names is walked in one go (`hie.core.fhirpath.walkers`). Where places are asked for, every node on
the way is made.
"""

from itertools import zip_longest
from typing import Any, Final

from hie.core.fhir.json import Json
from hie.core.fhirpath.evaluation import Closure, Frame, Step
from hie.core.fhirpath.node import Item, Items, Node
from hie.core.fhirpath.resources import resource_shape, undefined_items
from hie.core.fhirpath.shape import Shape, Variant, shape_of
from hie.core.fhirpath.values import TypeInfo, system
from hie.core.fhirpath.walkers import Walker, are_all_text, walker_of

_ELEMENT: Final = shape_of("Element")


class Walkers:
    """The walkers along `names`, one for each type that they begin at, made when it is met first."""

    __slots__ = ("_is_raw", "_names", "known")

    def __init__(self, names: tuple[str, ...], *, is_raw: bool) -> None:
        self._names = names
        self._is_raw = is_raw
        self.known: dict[Shape, Walker] = {}

    def of(self, shape: Shape) -> Walker:
        """Return the walker from values of `shape`."""
        found = self.known.get(shape)
        if found is None:
            found = walker_of(shape, self._names, is_raw=self._is_raw)
            if shape.is_known:
                self.known[shape] = found
        return found


def members(names: tuple[str, ...]) -> Step:
    """Return the step from items to what `names` lead to, one name after the other."""
    walkers = Walkers(names, is_raw=False)
    known = walkers.known

    def step(items: Items, frame: Frame) -> Items:
        if frame.run.has_places:
            for name in names:
                items = [child for item in items for child in named_children(item, name)]
            return items
        found: Items = []
        for item in items:
            if item.__class__ is Node:
                walker = known.get(item.shape) or walkers.of(item.shape)
                walker(item.value, item.extra, found)
            elif isinstance(item, TypeInfo):
                found += _reflected(item, names)
        return found

    return step


def raw_members(names: tuple[str, ...]) -> Step:
    """Return the step to the bare JSON values, ABSENT for primitives that have only extensions."""
    walkers = Walkers(names, is_raw=True)

    def step(items: Items, _: Frame) -> Items:
        found: Items = []
        for item in items:
            if item.__class__ is Node:
                walkers.of(item.shape)(item.value, item.extra, found)
            elif isinstance(item, TypeInfo):
                found += _reflected(item, names)
        return found

    return step


def equals_text(names: tuple[str, ...], text: str, general: Closure) -> Closure:
    """Return the closure of ``names = 'text'``; `general` is the one for what is not plain text alone."""
    walkers = Walkers(names, is_raw=True)
    is_text: dict[Shape, bool] = {}

    def compare(frame: Frame) -> Items:
        items = frame.items
        if len(items) == 1 and items[0].__class__ is Node:
            item = items[0]
            shape = item.shape
            fits = is_text.get(shape)
            if fits is None:
                fits = are_all_text(shape, names)
                if shape.is_known:
                    is_text[shape] = fits
            if fits:
                found: list[Any] = []
                walkers.of(shape)(item.value, None, found)
                if not found:
                    return found
                # a primitive without value (ABSENT) equals no text
                return [len(found) == 1 and found[0] == text]
        return general(frame)

    return compare


def type_or_member(name: str) -> Step:
    """Return the step that a chain begins with: items of type `name` stand for themselves."""
    step = members((name,))

    def begin(items: Items, frame: Frame) -> Items:
        if len(items) == 1 and items[0].__class__ is Node and name in items[0].shape.ancestors:
            return items
        found: Items = []
        for item in items:
            found += (
                [item] if item.__class__ is Node and name in item.shape.ancestors else step([item], frame)
            )
        return found

    return begin


def all_children(items: Items) -> Items:
    """Return the children of `items`, in the order in which they are written."""
    return [child for item in items for child in _children(item)]


def named_children(item: Item, name: str) -> Items:
    """Return the children `name` of `item`, each knowing its place."""
    if item.__class__ is not Node:
        return _reflected(item, (name,)) if isinstance(item, TypeInfo) else []
    if item.shape.is_primitive and name == "value":
        value = system(item)
        return [] if value.__class__ is Node else [value]
    shape, holder = _content(item)
    if holder.__class__ is not dict:
        return []
    if not shape.is_known:
        return undefined_items(holder.get(name), item, name)
    variants = shape.children().get(name, ())
    return [node for variant in variants for node in _nodes(variant, holder, item)]


def _content(node: Node) -> tuple[Shape, Json]:
    """Return the shape of the object that the children of `node` stand in, and the object."""
    return (_ELEMENT, node.extra) if node.shape.is_primitive else (node.shape, node.value)


def _children(item: Item) -> Items:
    if item.__class__ is not Node:
        return []
    shape, holder = _content(item)
    if holder.__class__ is not dict:
        return []
    found: Items = []
    by_key = shape.by_key()
    for key in holder:
        if not shape.is_known:
            found += undefined_items(holder[key], item, key) if key != "resourceType" else []
            continue
        variant = by_key.get(key)
        if variant is not None and (key == variant.key or variant.key not in holder):
            found += _nodes(variant, holder, item)
    return found


def _nodes(variant: Variant, holder: dict[str, Json], parent: Node) -> list[Node]:
    key, shape = variant.key, variant.shape
    value = holder.get(key)
    extra = None if variant.extra is None else holder.get(variant.extra)
    if extra is None and not variant.is_resource:
        wanted = None if shape.is_primitive else dict
        if value.__class__ is list:
            return [
                Node(one, shape, None, (parent, key, index))
                for index, one in enumerate(value)
                if one is not None and (wanted is None or one.__class__ is wanted)
            ]
        if value is None or (wanted is not None and value.__class__ is not wanted):
            return []
        return [Node(value, shape, None, (parent, key, None))]
    if value.__class__ is list or extra.__class__ is list:
        values = value if value.__class__ is list else []
        extras = extra if extra.__class__ is list else []
        pairs = enumerate(zip_longest(values, extras))
        nodes = [_node(one, other, variant, parent, index) for index, (one, other) in pairs]
        return [node for node in nodes if node is not None]
    node = _node(value, extra, variant, parent, None)
    return [] if node is None else [node]


def _node(value: Json, extra: Json, variant: Variant, parent: Node, index: int | None) -> Node | None:
    if value is None and extra is None:
        return None
    place = (parent, variant.key, index)
    if variant.shape.is_primitive:
        return Node(value, variant.shape, extra if extra.__class__ is dict else None, place)
    if value.__class__ is not dict:
        return None
    return Node(value, resource_shape(value) if variant.is_resource else variant.shape, None, place)


def _reflected(item: TypeInfo, names: tuple[str, ...]) -> Items:
    return [getattr(item, names[0])] if len(names) == 1 and names[0] in {"name", "namespace"} else []
