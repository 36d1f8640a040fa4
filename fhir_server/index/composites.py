"""Rows of ix_composite: the values of several components inside one element.

https://hl7.org/fhir/R4/search.html#composite. A component is read by the same
emits as a parameter of its own, from a tree of its own that starts at the
element; each combination of their values becomes one row. A row has a place for
three components: the first is compared by equality (a token, reference or uri;
whichever comes first is taken), the second may be of any type, the third a
number, date, token, reference or uri.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice, product
from typing import Any, Final

from fhir_server.index.hashing import NO_CODE, NO_SYSTEM, hash64
from fhir_server.index.rows import (
    OPEN_END,
    OPEN_START,
    UNBOUNDED_HIGH,
    UNBOUNDED_LOW,
    CompositeRow,
    IndexRows,
)
from fhir_server.index.walker import Emit, Node, walk
from hie.core.fhir.json import Json

# Components of these types are compared by equality of hashes.
HASHED: Final = frozenset({"token", "reference", "uri"})
_THIRD: Final = HASHED | {"number", "date"}
# What stands for the parameter of a component while its values are collected.
COMPONENT_PARAM: Final = 0
# An element with more combinations than this is not what composites are for.
_MOST_COMBINATIONS: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Component:
    """One component: its parameter's type, where its values stand, and from where they are looked for."""

    type: str
    tree: Node
    is_of_resource: bool

    def values(self, element: Json, resource: Json) -> Sequence[tuple[Any, ...]]:
        """Return the index rows of the component's values in `element`."""
        rows = IndexRows()
        walk(self.tree, resource if self.is_of_resource else element, rows)
        found = [row for row in getattr(rows, self.type) if row[0] == COMPONENT_PARAM]
        return found if len(found) < 2 else list(dict.fromkeys(found))  # noqa: PLR2004 - one cannot repeat

    def may_have(self, element: dict[str, Json], resource: dict[str, Json]) -> bool:
        """Return whether one of the elements that the component begins with is there."""
        return any(key in (resource if self.is_of_resource else element) for key in self.tree.children)


def slots_of(types: Sequence[str]) -> tuple[int, ...] | None:
    """Return the positions of components of `types` in the order of the places, None where they do not fit.

    -1 stands for no first component.

    >>> slots_of(["date", "token"]), slots_of(["quantity", "string", "date"])
    ((1, 0), None)
    """
    hashed = [at for at, each in enumerate(types) if each in HASHED]
    order = [hashed[0] if hashed else -1]
    order += [at for at in range(len(types)) if at != order[0]]
    fits = len(types) > 1 and len(order) <= 3 and all(types[at] in _THIRD for at in order[2:])  # noqa: PLR2004
    return tuple(order) if fits else None


def key_of(hashes: Sequence[int]) -> int:
    """Return the `key_hash` of components with `hashes`, in the order of the definition."""
    if len(hashes) == 1:
        return hashes[0]
    return hash64("|".join(map(str, hashes))) if hashes else NO_CODE


def microseconds(instant: datetime) -> Decimal:
    """Return `instant` as `ix_composite.lo` holds dates: microseconds since 1970, infinite where open."""
    if instant <= OPEN_START:
        return UNBOUNDED_LOW
    if instant >= OPEN_END:
        return UNBOUNDED_HIGH
    since = instant - _EPOCH
    return Decimal((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def composite_emit(param: int, base: Node | None, components: Sequence[Component]) -> Emit:
    """Return what adds the rows of the elements that `base` leads to (None: the resource itself).

    `base` is a tree whose emits add each element to `IndexRows.elements`.
    """
    slots = slots_of([each.type for each in components])
    assert slots is not None  # noqa: S101 - the compiler has asked
    add = _adder(param, slots, components)
    if base is None:

        def emit(value: Json, rows: IndexRows) -> None:
            if type(value) is dict:
                add(value, value, rows)

        return emit

    keys = tuple(base.children)

    def emit_below(value: Json, rows: IndexRows) -> None:
        if type(value) is dict and any(key in value for key in keys):
            found = IndexRows()
            walk(base, value, found)
            for element in found.elements:
                add(element, value, rows)

    return emit_below


def collect(value: Json, rows: IndexRows) -> None:
    """Add an element to `IndexRows.elements`."""
    rows.elements.append(value)


def _adder(
    param: int, slots: tuple[int, ...], components: Sequence[Component]
) -> Callable[[Json, dict[str, Json], IndexRows], None]:
    """Return what adds the rows of one element of a resource."""
    # The last components are the rarest: most Observations have no valueString.
    asked = tuple(reversed(components))

    def add(element: Json, resource: dict[str, Json], rows: IndexRows) -> None:
        if type(element) is not dict or not all(each.may_have(element, resource) for each in asked):
            return
        values = [each.values(element, resource) for each in components]
        combinations = islice(product(*values), _MOST_COMBINATIONS)
        rows.composite += (_row(param, slots, components, each) for each in combinations)

    return add


def _row(
    param: int, slots: tuple[int, ...], components: Sequence[Component], values: tuple[tuple[Any, ...], ...]
) -> CompositeRow:
    if len(values) == 2 and slots[0] == 0 and components[1].type == "quantity":  # noqa: PLR2004 - the frequent shape
        # A third of the time of the general case; most composites of a hospital are these.
        hashed, system = _hashed(components[0].type, values[0])
        _, lo, hi, unit_system, code, unit, canonical, canonical_lo, canonical_hi = values[1]
        return CompositeRow(
            param,
            hashed,
            hashed,
            system,
            code,
            unit_system,
            unit,
            lo,
            hi,
            canonical,
            canonical_lo,
            canonical_hi,
        )
    key = key_of([value[1] for value, each in zip(values, components, strict=True) if each.type in HASHED])
    first, *rest = slots
    first_hash, first_system = (NO_CODE, NO_SYSTEM)
    if first >= 0:
        first_hash, first_system = _hashed(components[first].type, values[first])
    parts: dict[str, Any] = {}
    for at, place in zip(rest, ("second", "third"), strict=False):
        parts |= _READERS[components[at].type](place, values[at])
    return CompositeRow(param, key, first_hash, first_system, **parts)


def _hashed(kind: str, row: tuple[Any, ...]) -> tuple[int, int]:
    return (row[1], row[2]) if kind == "token" else (row[1], NO_SYSTEM)


def _token(place: str, row: tuple[Any, ...]) -> dict[str, Any]:
    return {f"{place}_hash": row[1], f"{place}_system": row[2]}


def _target(place: str, row: tuple[Any, ...]) -> dict[str, Any]:
    return {f"{place}_hash": row[1]}


def _number(place: str, row: tuple[Any, ...]) -> dict[str, Any]:
    names = ("lo", "hi") if place == "second" else ("third_lo", "third_hi")
    return dict(zip(names, row[1:3], strict=True))


def _date(place: str, row: tuple[Any, ...]) -> dict[str, Any]:
    return _number(place, (row[0], microseconds(row[1]), microseconds(row[2])))


def _string(place: str, row: tuple[Any, ...]) -> dict[str, Any]:
    del place  # only the second may be a string
    return {"norm": row[1]}


def _quantity(place: str, row: tuple[Any, ...]) -> dict[str, Any]:
    del place  # only the second may be a quantity
    _, lo, hi, system, code, unit, canonical, canonical_lo, canonical_hi = row
    return {
        "lo": lo,
        "hi": hi,
        "second_system": system,
        "second_hash": code,
        "unit_hash": unit,
        "canonical_hash": canonical,
        "canonical_lo": canonical_lo,
        "canonical_hi": canonical_hi,
    }


_READERS: Final[dict[str, Callable[[str, tuple[Any, ...]], dict[str, Any]]]] = {
    "token": _token,
    "reference": _target,
    "uri": _target,
    "number": _number,
    "date": _date,
    "string": _string,
    "quantity": _quantity,
}
