"""Filtering, projection, subsetting, combining: https://hl7.org/fhirpath/N1/#filtering-and-projection and on.

``sort()`` is of the current build of FHIRPath (https://build.fhir.org/ig/HL7/FHIRPath/#sort).
"""

from functools import cmp_to_key
from typing import Final

from hie.core.fhirpath.equality import distinct, holds, key_of
from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.functions.function import Function, SortKey, each
from hie.core.fhirpath.node import Item, Items
from hie.core.fhirpath.operators import order, union
from hie.core.fhirpath.quantity import Quantity
from hie.core.fhirpath.temporal import Temporal
from hie.core.fhirpath.values import integer_of, system, truth
from hie.core.language_errors import FhirPathError

_TRUTHS: Final = ([True], [False])


def _where(items: Items, frame: Frame, criteria: Closure) -> Items:
    found: Items = []
    run = frame.run
    run.spend(len(items))
    inner = Frame(items, run, frame.total)
    for index, item in enumerate(items):
        inner.items = [item]
        inner.index = index
        verdict = criteria(inner)
        # nothing, or one Boolean, is the frequent case: `truth` would say the same of it
        if verdict and (verdict[0] if verdict in _TRUTHS else truth(verdict, "where()")):
            found.append(item)
    return found


def _select(items: Items, frame: Frame, projection: Closure) -> Items:
    found: Items = []
    for inner in each(items, frame):
        found += projection(inner)
    frame.run.spend(len(found))
    return found


def _repeat(items: Items, frame: Frame, projection: Closure) -> Items:
    found: Items = []
    seen: set[object] = set()
    vague: Items = []
    pending = items
    while pending:
        fresh: Items = []
        for inner in each(pending, frame):
            for item in projection(inner):
                value = system(item)
                if isinstance(value, Temporal | Quantity):
                    frame.run.spend(len(vague))
                    is_new = not holds(vague, value)
                    vague.append(value)
                else:
                    key = key_of(value)
                    is_new = key not in seen
                    seen.add(key)
                if is_new:
                    fresh.append(item)
        frame.run.spend(4 * len(fresh))  # a level of one item costs several steps of its own
        found += fresh
        pending = fresh
    return found


def _single(items: Items, _: Frame) -> Items:
    if len(items) > 1:
        raise FhirPathError(f"single() takes one item, not {len(items)}")
    return items


def _first(items: Items, _: Frame) -> Items:
    return items[:1]


def _last(items: Items, _: Frame) -> Items:
    return items[-1:]


def _tail(items: Items, _: Frame) -> Items:
    return items[1:]


def _skip(items: Items, frame: Frame, count: Closure) -> Items:
    number = integer_of(count(frame), "skip()")
    return [] if number is None else items[max(number, 0) :]


def _take(items: Items, frame: Frame, count: Closure) -> Items:
    number = integer_of(count(frame), "take()")
    return [] if number is None else items[: max(number, 0)]


def _intersect(items: Items, frame: Frame, other: Closure) -> Items:
    others = other(frame)
    frame.run.spend(len(items) * max(1, len(others)))
    return distinct([item for item in items if holds(others, item)], frame.run.spend)


def _exclude(items: Items, frame: Frame, other: Closure) -> Items:
    others = other(frame)
    frame.run.spend(len(items) * max(1, len(others)))
    return [item for item in items if not holds(others, item)]


def _union(items: Items, frame: Frame, other: Closure) -> Items:
    return union(items, other(frame), frame.run)


def _combine(items: Items, frame: Frame, other: Closure) -> Items:
    found = items + other(frame)
    frame.run.spend(len(found))
    return found


def _aggregate(items: Items, frame: Frame, aggregator: Closure, start: Closure | None = None) -> Items:
    total = [] if start is None else start(frame)
    for inner in each(items, frame):
        inner.total = total
        total = aggregator(inner)
    return total


def _sort(items: Items, frame: Frame, *keys: SortKey) -> Items:
    frame.run.spend(len(items) * (len(items).bit_length() + 1))
    directions = [key.is_descending for key in keys] or [False]
    values = [
        (item, [_one(key.closure(inner)) for key in keys] or [[item]])
        for item, inner in zip(items, each(items, frame), strict=True)
    ]

    def compare(left: tuple[Item, list[Items]], right: tuple[Item, list[Items]]) -> int:
        for one, other, is_descending in zip(left[1], right[1], directions, strict=True):
            if not one or not other:  # what has no key comes first, in either direction
                found = bool(one) - bool(other)
            else:
                found = order(one, other, "sort()") or 0
                found = -found if is_descending else found
            if found:
                return found
        return 0

    return [item for item, _ in sorted(values, key=cmp_to_key(compare))]


def _one(found: Items) -> Items:
    if len(found) > 1:
        raise FhirPathError("sort() takes keys of one item")
    return found


COLLECTIONS: Final = {
    "where": Function(_where, 1, 1),
    "select": Function(_select, 1, 1),
    "repeat": Function(_repeat, 1, 1),
    "single": Function(_single),
    "first": Function(_first),
    "last": Function(_last),
    "tail": Function(_tail),
    "skip": Function(_skip, 1, 1),
    "take": Function(_take, 1, 1),
    "intersect": Function(_intersect, 1, 1),
    "exclude": Function(_exclude, 1, 1),
    "union": Function(_union, 1, 1),
    "combine": Function(_combine, 1, 1),
    "aggregate": Function(_aggregate, 1, 2),
    "sort": Function(_sort, 0, None),
}
