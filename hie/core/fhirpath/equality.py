"""Equality and equivalence of items and collections (https://hl7.org/fhirpath/N1/#equality).

Equal collections have equal items in the same order; equivalent ones in any order, with text compared without
case and white space, and decimals to the less precise one.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from hie.core.fhir.json import Json
from hie.core.fhirpath.node import Item, Items, Node
from hie.core.fhirpath.quantity import Quantity, are_equivalent, fraction_digits, in_common_unit
from hie.core.fhirpath.temporal import Temporal, Time, compare
from hie.core.fhirpath.values import decimal_value, is_number, system

_SPACE: Final = re.compile(r"\s+")
_NUMBERS: Final = frozenset({int, Decimal})


def equals(left: Items, right: Items) -> bool | None:
    """Return whether the collections are equal, None where one is empty or a precision leaves it open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    verdicts = [equal_items(one, other) for one, other in zip(left, right, strict=True)]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def equal_items(left: Item, right: Item) -> bool | None:  # noqa: PLR0911 # one for each pair of types
    """Return whether two items are equal, None where a precision or a unit leaves it open."""
    one, other = system(left), system(right)
    kind = one.__class__
    if kind is other.__class__ and (kind is str or kind is bool or kind is int or kind is Decimal):
        return bool(one == other)
    if kind in _NUMBERS and other.__class__ in _NUMBERS:
        return bool(one == other)
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        return _equal_quantities(one, other)
    if isinstance(one, Temporal) and isinstance(other, Temporal):
        if isinstance(one, Time) is not isinstance(other, Time):
            return False
        order = compare(one, other)
        return None if order is None else order == 0
    if isinstance(one, Node) and isinstance(other, Node):
        return one.value is other.value or (
            canonical(one.value) == canonical(other.value)
            and (one.value is not None or canonical(one.extra) == canonical(other.extra))
        )
    return kind is other.__class__ and bool(one == other)


def equivalent(left: Items, right: Items) -> bool:
    """Return whether the collections hold equivalent items, in any order."""
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return equivalent_items(left[0], right[0])
    rest = list(right)
    for one in left:
        place = next((place for place, other in enumerate(rest) if equivalent_items(one, other)), None)
        if place is None:
            return False
        del rest[place]
    return True


def equivalent_items(left: Item, right: Item) -> bool:
    """Return whether two items are equivalent."""
    one, other = system(left), system(right)
    if one.__class__ is str and other.__class__ is str:
        return _plain(one) == _plain(other)
    if is_number(one) and is_number(other):
        return _rounded_alike(Decimal(one), Decimal(other))
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        first, second = as_quantity(one), as_quantity(other)
        return first is not None and second is not None and are_equivalent(first, second)
    if isinstance(one, Node) and isinstance(other, Node):
        return canonical(_loose(one.value)) == canonical(_loose(other.value))
    return equal_items(left, right) is True


def distinct(items: Items, spend: Callable[[int], None]) -> Items:
    """Return `items` without those that equal an earlier one."""
    if len(items) <= 1:
        return items
    found: Items = []
    seen: set[Hashable] = set()
    vague: Items = []  # dates and quantities equal others that are written differently
    for item in items:
        value = system(item)
        if isinstance(value, Temporal | Quantity):
            spend(len(vague))
            if not any(equal_items(value, other) for other in vague):
                vague.append(value)
                found.append(item)
            continue
        key = key_of(value)
        if key not in seen:
            seen.add(key)
            found.append(item)
    return found


def key_of(value: Any) -> Hashable:
    """Return what equal items have in common, of those that are neither dates nor quantities."""
    if isinstance(value, Node):
        return ("Node", canonical(value.value), canonical(value.extra) if value.value is None else None)
    return (value.__class__ is bool, value.__class__ is str, value)


def holds(items: Items, item: Item) -> bool:
    """Return whether `item` equals one of `items`."""
    return any(equal_items(other, item) for other in items)


def as_quantity(value: Any) -> Quantity | None:
    """Return a Quantity, or a number as one without unit; None for anything else."""
    if isinstance(value, Quantity):
        return value
    return Quantity(Decimal(value)) if is_number(value) else None


def canonical(value: Json) -> Hashable:
    """Return JSON as tuples that are equal where it means the same: 1.0 is 1.00, names in any order."""
    if isinstance(value, dict):
        return tuple(sorted((name, canonical(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("[", *map(canonical, value))
    if value.__class__ is float or value.__class__ is Decimal or value.__class__ is int:
        return ("#", decimal_value(value))
    return (value.__class__.__name__, value)


def _equal_quantities(one: Any, other: Any) -> bool | None:
    first, second = as_quantity(one), as_quantity(other)
    if first is None or second is None:
        return False
    values = in_common_unit(first, second)
    return None if values is None else values[0] == values[1]


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).strip().casefold()


def _rounded_alike(one: Decimal, other: Decimal) -> bool:
    digits = min(fraction_digits(one), fraction_digits(other))
    return round(Fraction(one), digits) == round(Fraction(other), digits)


def _loose(value: Json) -> Json:
    if isinstance(value, dict):
        # neither order nor ids matter
        return {name: _loose(inner) for name, inner in value.items() if name != "id"}
    if isinstance(value, list):
        return _ordered(map(_loose, value))
    return _plain(value) if isinstance(value, str) else value


def _ordered(values: Iterable[Json]) -> list[Json]:
    return sorted(values, key=lambda value: repr(canonical(value)))
