"""Names (`a.b.c`) compiled, for the type they begin at, into one walk through JSON.

A walker makes nodes only of what it finds at the end. A raw one makes none at all: it gives the JSON values,
for expressions that are nothing but names and for questions that types do not change (measured: a third of
the time).
"""

from collections.abc import Callable
from itertools import zip_longest
from typing import Any, Final

from hie.core.fhir.json import Json
from hie.core.fhirpath.node import Items, Node
from hie.core.fhirpath.resources import resource_shape, undefined_items
from hie.core.fhirpath.shape import Shape, Variant, shape_of
from hie.core.fhirpath.values import system

# (value, its `_extra` if it is a primitive, the list to append to)
Walker = Callable[[Json, Json, list[Any]], None]

# What a raw walker finds for a primitive that has only extensions.
ABSENT: Final = object()

_ELEMENT: Final = shape_of("Element")


def walker_of(shape: Shape, names: tuple[str, ...], *, is_raw: bool) -> Walker:
    """Return the walker from a value of `shape` along `names`, of which there is at least one."""
    name, rest = names[0], names[1:]
    if shape.is_primitive:
        return _of_primitive(shape, name, rest, is_raw=is_raw)
    if not shape.is_known:
        return _of_undefined(name, rest, is_raw=is_raw)
    variants = shape.children().get(name, ())
    if len(variants) == 1:
        return _of_variant(variants[0], rest, is_raw=is_raw)
    by_key: dict[str, Walker] = {}
    for variant in variants:
        walk = _of_variant(variant, rest, is_raw=is_raw)
        by_key[variant.key] = walk
        if variant.extra is not None:
            by_key[variant.extra] = walk
    return _choice(by_key) if by_key else _nowhere


def are_all_text(shape: Shape, names: tuple[str, ...]) -> bool:
    """Return whether whatever `names` lead to from `shape` is a primitive that converts to a String."""
    if not shape.is_known or shape.is_primitive:
        return False
    variants = shape.children().get(names[0], ())
    if any(variant.is_resource for variant in variants):
        return False
    if len(names) == 1:
        return all(variant.shape.is_primitive and variant.shape.system == "String" for variant in variants)
    return all(are_all_text(variant.shape, names[1:]) for variant in variants)


def _nowhere(_: Json, __: Json, ___: list[Any]) -> None:
    """Find nothing: there is no such child."""


def _choice(by_key: dict[str, Walker]) -> Walker:
    def choose(value: Json, _: Json, found: list[Any]) -> None:
        for key in value:
            walk = by_key.get(key)
            # an extension beside its value has been seen to with it
            if walk is not None and not (key[0] == "_" and key[1:] in value):
                walk(value, None, found)

    return choose


def _of_primitive(shape: Shape, name: str, rest: tuple[str, ...], *, is_raw: bool) -> Walker:
    if name == "value":

        def value_of(value: Json, _: Json, found: list[Any]) -> None:
            item = system(Node(value, shape))
            if item.__class__ is not Node and not rest:
                found.append(item)

        return value_of
    walk = walker_of(_ELEMENT, (name, *rest), is_raw=is_raw)

    def extra_of(_: Json, extra: Json, found: list[Any]) -> None:
        if extra.__class__ is dict:
            walk(extra, None, found)

    return extra_of


def _of_undefined(name: str, rest: tuple[str, ...], *, is_raw: bool) -> Walker:
    def walk(value: Json, _: Json, found: list[Any]) -> None:
        items: Items = undefined_items(value.get(name), None, name) if value.__class__ is dict else []
        for item in items:
            if not rest:
                found.append(item.value if is_raw and item.__class__ is Node else item)
            elif item.__class__ is Node:
                walker_of(item.shape, rest, is_raw=is_raw)(item.value, None, found)

    return walk


def _of_variant(variant: Variant, rest: tuple[str, ...], *, is_raw: bool) -> Walker:
    if variant.shape.is_primitive:
        return _through_primitive(variant, rest, is_raw=is_raw)
    if variant.is_resource:
        return _through_resource(variant.key, rest, is_raw=is_raw)
    if rest:
        return _through_complex(variant.key, walker_of(variant.shape, rest, is_raw=is_raw))
    return _to_raw_complex(variant.key) if is_raw else _to_complex(variant.key, variant.shape)


def _to_complex(key: str, shape: Shape) -> Walker:
    def emit(value: Json, _: Json, found: list[Any]) -> None:
        child = value.get(key)
        if child.__class__ is dict:
            found.append(Node(child, shape))
        elif child.__class__ is list:
            found += [Node(one, shape) for one in child if one.__class__ is dict]

    return emit


def _to_raw_complex(key: str) -> Walker:
    def emit(value: Json, _: Json, found: list[Any]) -> None:
        child = value.get(key)
        if child.__class__ is dict:
            found.append(child)
        elif child.__class__ is list:
            found += [one for one in child if one.__class__ is dict]

    return emit


def _through_complex(key: str, walk: Walker) -> Walker:
    def pass_on(value: Json, _: Json, found: list[Any]) -> None:
        child = value.get(key)
        if child.__class__ is dict:
            walk(child, None, found)
        elif child.__class__ is list:
            for one in child:
                if one.__class__ is dict:
                    walk(one, None, found)

    return pass_on


def _through_primitive(variant: Variant, rest: tuple[str, ...], *, is_raw: bool) -> Walker:
    if rest:
        return _with_extras(variant, walker_of(variant.shape, rest, is_raw=is_raw))
    key, extra_key, shape = variant.key, variant.extra, variant.shape
    with_extras = _with_extras(variant, _finish_raw if is_raw else _finish(shape))

    def emit(value: Json, _: Json, found: list[Any]) -> None:
        if extra_key in value:
            with_extras(value, None, found)
            return
        child = value.get(key)
        if child.__class__ is list:
            found += [Node(one, shape) for one in child if one is not None]
        elif child is not None:
            found.append(Node(child, shape))

    def emit_raw(value: Json, _: Json, found: list[Any]) -> None:
        if extra_key in value:
            with_extras(value, None, found)
            return
        child = value.get(key)
        if child.__class__ is list:
            found += [one for one in child if one is not None]
        elif child is not None:
            found.append(child)

    return emit_raw if is_raw else emit


def _with_extras(variant: Variant, finish: Walker) -> Walker:
    key, extra_key = variant.key, variant.extra

    def pair(value: Json, _: Json, found: list[Any]) -> None:
        child, extra = value.get(key), value.get(extra_key)
        if child.__class__ is list or extra.__class__ is list:
            children = child if child.__class__ is list else []
            pairs = zip_longest(children, extra if extra.__class__ is list else [])
        else:
            pairs = zip_longest([child], [extra])
        for one, other in pairs:
            if one is not None or other is not None:
                finish(one, other, found)

    return pair


def _finish(shape: Shape) -> Walker:
    def finish(value: Json, extra: Json, found: list[Any]) -> None:
        found.append(Node(value, shape, extra if extra.__class__ is dict else None))

    return finish


def _finish_raw(value: Json, _: Json, found: list[Any]) -> None:
    found.append(ABSENT if value is None else value)


def _through_resource(key: str, rest: tuple[str, ...], *, is_raw: bool) -> Walker:
    walkers: dict[Shape, Walker] = {}

    def pass_on(value: Json, _: Json, found: list[Any]) -> None:
        child = value.get(key)
        for one in child if child.__class__ is list else [child]:
            if one.__class__ is not dict:
                continue
            if not rest:
                found.append(one if is_raw else Node(one, resource_shape(one)))
                continue
            shape = resource_shape(one)
            walk = walkers.get(shape) or walker_of(shape, rest, is_raw=is_raw)
            if shape.is_known:
                walkers[shape] = walk
            walk(one, None, found)

    return pass_on
