"""Boundaries, precision, comparability, ``type()``: https://build.fhir.org/ig/HL7/FHIRPath/ and N1, 10.1."""

from typing import Any, Final

from hie.core.fhirpath.boundaries import boundary, precision
from hie.core.fhirpath.equality import as_quantity
from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.functions.function import Function
from hie.core.fhirpath.node import Item, Items, Node
from hie.core.fhirpath.quantity import Quantity, in_common_unit
from hie.core.fhirpath.temporal import Temporal
from hie.core.fhirpath.values import TypeInfo, integer_of, operand, system_name
from hie.core.language_errors import FhirPathError


def _bound(name: str, *, is_high: bool) -> Function:
    def apply(items: Items, frame: Frame, digits: Closure | None = None) -> Items:
        value = operand(items, name)
        if value is None:
            return []
        wanted = None if digits is None else integer_of(digits(frame), name)
        found = boundary(_measured(value, name), wanted, is_high=is_high)
        return [] if found is None else [found]

    return Function(apply, 0, 1)


def _measured(value: Any, name: str) -> Any:
    if value.__class__ is bool or (
        not isinstance(value, int | Quantity | Temporal) and as_quantity(value) is None
    ):
        raise FhirPathError(f"{name} takes a number, a Quantity, a date or a time")
    return value


def _precision(items: Items, _: Frame) -> Items:
    value = operand(items, "precision()")
    found = None if value is None else precision(_measured(value, "precision()"))
    return [] if found is None else [found]


def _comparable(items: Items, frame: Frame, other: Closure) -> Items:
    one, two = operand(items, "comparable()"), operand(other(frame), "comparable()")
    if one is None or two is None:
        return []
    first, second = as_quantity(one), as_quantity(two)
    if first is None or second is None:
        raise FhirPathError("comparable() takes quantities")
    return [in_common_unit(first, second) is not None]


def _type(items: Items, _: Frame) -> Items:
    return [type_info(item) for item in items]


def type_info(item: Item) -> TypeInfo:
    """Return the namespace and name of the type of `item`."""
    if isinstance(item, Node):
        return TypeInfo("FHIR", item.type_name)
    return TypeInfo("System", system_name(item) or "SimpleTypeInfo")


REFLECTION: Final = {
    "lowBoundary": _bound("lowBoundary()", is_high=False),
    "highBoundary": _bound("highBoundary()", is_high=True),
    "precision": Function(_precision),
    "comparable": Function(_comparable, 1, 1),
    "type": Function(_type),
}
