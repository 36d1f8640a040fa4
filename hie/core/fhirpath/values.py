"""Items as System values, and collections as the single value that an operator or function takes.

https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections; FHIR's primitives and Quantity convert by
themselves: https://hl7.org/fhir/R4/fhirpath.html#types.
"""

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, Final, TypeGuard

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.node import Item, Items, Node
from hie.core.fhirpath.quantity import Quantity
from hie.core.fhirpath.shape import SystemName, shape_of
from hie.core.fhirpath.temporal import Date, DateTime, Temporal, Time
from hie.core.language_errors import FhirPathError

UCUM: Final = "http://unitsofmeasure.org"
# https://hl7.org/fhirpath/N1/#integer and #decimal: 28 digits, 8 of them after the point at least.
INTEGERS: Final = range(-(2**31), 2**31)
DECIMALS: Final = Context(prec=28, Emax=40, Emin=-40)
# A decimal of FHIR may be written 1e9999; nothing that calculates may ever write that out.
_LARGEST_EXPONENT: Final = 400


class TypeInfo:
    """What ``type()`` returns: a namespace ("System", "FHIR") and a name."""

    __slots__ = ("name", "namespace")

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeInfo) and (self.namespace, self.name) == (other.namespace, other.name)

    def __hash__(self) -> int:
        return hash((self.namespace, self.name))

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}"


def system_value(type_name: str, value: Json) -> Any:
    """Return JSON `value` of FHIR type `type_name` as System value, a `Date` for "date"; else as it is."""
    name = shape_of(type_name).system
    return value if name is None else _SYSTEM[name](value)


def system(item: Item) -> Any:
    """Return what a primitive or Quantity of FHIR converts to, else the item itself."""
    if item.__class__ is not Node:
        return item
    name = item.shape.system
    if name == "String":
        return item.value if item.value.__class__ is str else item
    return item if name is None or item.value is None else _convert(name, item)


def _convert(name: SystemName, item: Node) -> Any:
    found = _SYSTEM[name](item.value)
    return item if found is None else found


def system_name(value: Any) -> str | None:
    """Return the name of the System type of `value`, None for what has none."""
    if value.__class__ is bool:
        return "Boolean"
    if value.__class__ is int:
        return "Integer"
    if isinstance(value, Temporal):
        return value.system_name
    return {str: "String", Decimal: "Decimal", Quantity: "Quantity"}.get(value.__class__)


def single(items: Items, what: str) -> Item | None:
    """Return the one item, None for none. Raises FhirPathError for several."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError(f"{what} takes one item, not {len(items)}")
    return items[0]


def truth(items: Items, what: str) -> bool | None:
    """Return the Boolean that `items` are: a single item that is none is true, nothing is None."""
    item = single(items, what)
    if item is None:
        return None
    if item.__class__ is Node:
        value = item.value
        return value if value.__class__ is bool else True
    return item if item.__class__ is bool else True


def operand(items: Items, what: str) -> Any:
    """Return the one item as System value, None for none and for a primitive of FHIR that has no value."""
    value = system(single(items, what))
    return None if value.__class__ is Node and value.value is None else value


def text_of(items: Items, what: str) -> str | None:
    """Return the String that `items` are, None for none. Raises FhirPathError for another type."""
    value = operand(items, what)
    if value is None or value.__class__ is str:
        return value
    raise FhirPathError(f"{what} takes a String, not a {_described(value)}")


def integer_of(items: Items, what: str) -> int | None:
    """Return the Integer that `items` are, None for none. Raises FhirPathError for another type."""
    value = operand(items, what)
    if value is None or value.__class__ is int:
        return value
    raise FhirPathError(f"{what} takes an Integer, not a {_described(value)}")


def number_of(items: Items, what: str) -> int | Decimal | None:
    """Return the number that `items` are, None for none. Raises FhirPathError for another type."""
    value = operand(items, what)
    if value is None or value.__class__ is int or value.__class__ is Decimal:
        return value
    raise FhirPathError(f"{what} takes a number, not a {_described(value)}")


def is_number(value: object) -> TypeGuard[int | Decimal]:
    """Return whether a System value is an Integer or a Decimal."""
    return value.__class__ is int or value.__class__ is Decimal


def bounded(value: int | Decimal) -> Items:
    """Return the result of a calculation, nothing where it is beyond what Integer or Decimal hold."""
    if value.__class__ is int:
        return [value] if value in INTEGERS else []
    number = Decimal(value)
    return [number] if number.is_finite() and number.adjusted() < DECIMALS.prec else []


def decimal_value(value: Json) -> Decimal | None:
    """Return a JSON number as the Decimal that its text shows, None for anything else."""
    if value.__class__ is int:
        return Decimal(value)
    if value.__class__ is float:
        value = Decimal(repr(value))
    if value.__class__ is Decimal and value.is_finite() and abs(value.adjusted()) < _LARGEST_EXPONENT:
        return value
    return None


def _described(value: Any) -> str:
    return system_name(value) or (value.type_name if isinstance(value, Node) else type(value).__name__)


def _quantity(value: Json) -> Quantity | None:
    if not isinstance(value, dict) or "comparator" in value:  # "<5 mg" is no single value
        return None
    number = decimal_value(value.get("value"))
    return None if number is None else Quantity(number, _unit(value))


def _unit(quantity: JsonObject) -> str:
    code, unit = quantity.get("code"), quantity.get("unit")
    if quantity.get("system") == UCUM and isinstance(code, str):
        return code
    # a unit of another system, or one that people read, compares with itself
    return next((text for text in (code, unit) if isinstance(text, str)), "1")


def _of_text(parse: Callable[[str], Any]) -> Callable[[Json], Any]:
    return lambda value: parse(value) if value.__class__ is str else None


_SYSTEM: Final[dict[SystemName, Callable[[Json], Any]]] = {
    "Boolean": lambda value: value if value.__class__ is bool else None,
    "String": lambda value: value if value.__class__ is str else None,
    "Integer": lambda value: value if value.__class__ is int else None,
    "Decimal": decimal_value,
    "Date": _of_text(Date.parse),
    "DateTime": _of_text(DateTime.parse),
    "Time": _of_text(Time.parse),
    "Quantity": _quantity,
}
