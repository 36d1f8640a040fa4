"""``iif``, and conversion of one System type to another: https://hl7.org/fhirpath/N1/#conversion."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from hie.core.fhirpath.calendar_arithmetic import CALENDAR_WORDS
from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.functions.function import Function
from hie.core.fhirpath.node import Items, Node
from hie.core.fhirpath.quantity import Quantity, converted
from hie.core.fhirpath.temporal import Date, DateTime, Time
from hie.core.fhirpath.values import INTEGERS, bounded, is_number, operand, text_of, truth
from hie.core.language_errors import FhirPathError

Convert = Callable[[Any], Any]

_INTEGER: Final = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_QUANTITY: Final = re.compile(
    r"(?P<value>[+-]?\d{1,40}(?:\.\d{1,40})?)\s*(?:'(?P<unit>[^']{1,200})'|(?P<word>[A-Za-z]{1,20}))?",
    re.ASCII,
)
# https://hl7.org/fhirpath/N1/#toboolean-boolean
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "0.0"})


def _iif(
    items: Items, frame: Frame, criterion: Closure, then: Closure, otherwise: Closure | None = None
) -> Items:
    if len(items) > 1:
        raise FhirPathError(f"iif() takes one item, not {len(items)}")
    inner = Frame(items, frame.run, frame.total)
    inner.index = frame.index
    if truth(criterion(inner), "iif()"):
        return then(inner)
    return [] if otherwise is None else otherwise(inner)


def to_boolean(value: Any) -> bool | None:
    """Return the Boolean of a System value, None where it has none."""
    if value.__class__ is bool:
        return bool(value)
    if is_number(value):
        return {0: False, 1: True}.get(int(value)) if value == int(value) else None
    word = value.lower() if isinstance(value, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def to_integer(value: Any) -> int | None:
    """Return the Integer of a System value, None where it has none."""
    if value.__class__ is bool or value.__class__ is int:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value) if int(value) in INTEGERS else None
    return None


def to_decimal(value: Any) -> Decimal | None:
    """Return the Decimal of a System value, None where it has none."""
    if value.__class__ is bool or value.__class__ is int or value.__class__ is Decimal:
        return Decimal(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return next(iter(bounded(Decimal(value))), None)
    return None


def to_text(value: Any) -> str | None:
    """Return the String of a System value, None where it has none."""
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is Decimal:
        return f"{value:f}"
    return None if isinstance(value, Node) else str(value)


def to_date(value: Any) -> Date | None:
    """Return the Date of a System value, None where it has none."""
    if isinstance(value, DateTime):
        return Date(value.parts[:3])
    return value if isinstance(value, Date) else Date.parse(value) if isinstance(value, str) else None


def to_date_time(value: Any) -> DateTime | None:
    """Return the DateTime of a System value, None where it has none."""
    if isinstance(value, Date):
        return DateTime(value.parts)
    return value if isinstance(value, DateTime) else DateTime.parse(value) if isinstance(value, str) else None


def to_time(value: Any) -> Time | None:
    """Return the Time of a System value, None where it has none."""
    if isinstance(value, str):
        return Time.parse(value.removeprefix("T"))
    return value if isinstance(value, Time) else None


def to_quantity(value: Any) -> Quantity | None:
    """Return the Quantity of a System value, None where it has none."""
    if isinstance(value, Quantity):
        return value
    if value.__class__ is bool or value.__class__ is int or value.__class__ is Decimal:
        return Quantity(Decimal(value))
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match["word"] and match["word"] not in CALENDAR_WORDS):
        return None
    word = match["word"]
    return Quantity(Decimal(match["value"]), match["unit"] or word or "1", bool(word))


def _conversion(name: str, convert: Convert) -> dict[str, Function]:
    def to(items: Items, _: Frame) -> Items:
        value = operand(items, f"to{name}()")
        found = None if value is None else convert(value)
        return [] if found is None else [found]

    def converts_to(items: Items, _: Frame) -> Items:
        value = operand(items, f"convertsTo{name}()")
        return [] if value is None else [convert(value) is not None]

    return {f"to{name}": Function(to), f"convertsTo{name}": Function(converts_to)}


def _to_quantity_in(items: Items, frame: Frame, unit: Closure | None = None) -> Items:
    value = operand(items, "toQuantity()")
    found = None if value is None else to_quantity(value)
    wanted = None if unit is None else text_of(unit(frame), "toQuantity()")
    if found is not None and wanted is not None:
        found = converted(found, wanted)
    return [] if found is None else [found]


CONVERSION: Final = {
    "iif": Function(_iif, 2, 3),
    **_conversion("Boolean", to_boolean),
    **_conversion("Integer", to_integer),
    **_conversion("Decimal", to_decimal),
    **_conversion("String", to_text),
    **_conversion("Date", to_date),
    **_conversion("DateTime", to_date_time),
    **_conversion("Time", to_time),
    **_conversion("Quantity", to_quantity),
    "toQuantity": Function(_to_quantity_in, 0, 1),
}
