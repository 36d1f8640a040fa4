"""Math: https://hl7.org/fhirpath/N1/#math. What is beyond Integer and Decimal, or not real, is nothing."""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException
from typing import Final

from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.functions.function import Function
from hie.core.fhirpath.node import Items
from hie.core.fhirpath.quantity import Quantity
from hie.core.fhirpath.values import DECIMALS, bounded, integer_of, number_of, operand
from hie.core.language_errors import FhirPathError

# ln(10^29): what is larger overflows a Decimal for certain.
_LARGEST_POWER: Final = 67


def _abs(items: Items, _: Frame) -> Items:
    value = operand(items, "abs()")
    if isinstance(value, Quantity):
        return [Quantity(abs(value.value), value.unit, value.is_calendar)]
    number = number_of(items, "abs()")
    return [] if number is None else bounded(-number if number < 0 else number)


def _whole(name: str, rounding: str) -> Function:
    def to_whole(items: Items, _: Frame) -> Items:
        number = number_of(items, name)
        return [] if number is None else bounded(int(Decimal(number).to_integral_value(rounding)))

    return Function(to_whole)


def _truncate(items: Items, _: Frame) -> Items:
    number = number_of(items, "truncate()")
    return [] if number is None else bounded(int(number))


def _round(items: Items, frame: Frame, precision: Closure | None = None) -> Items:
    number = number_of(items, "round()")
    digits = 0 if precision is None else integer_of(precision(frame), "round()")
    if number is None or digits is None:
        return []
    if digits < 0:
        raise FhirPathError(f"round() takes a precision of 0 or more, not {digits}")
    value = Decimal(number)
    if digits >= DECIMALS.prec:
        return bounded(value)
    try:
        return bounded(value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
    except DecimalException:
        return bounded(value)


def _real(name: str, calculate: Callable[[Decimal], Decimal]) -> Function:
    def apply(items: Items, _: Frame) -> Items:
        number = number_of(items, name)
        return [] if number is None else _decimal(lambda: calculate(Decimal(number)))

    return Function(apply)


def _decimal(calculate: Callable[[], Decimal]) -> Items:
    try:
        return bounded(calculate())
    except DecimalException:
        return []


def _exp(value: Decimal) -> Decimal:
    return Decimal("Infinity") if value > _LARGEST_POWER else DECIMALS.exp(value)


def _ln(value: Decimal) -> Decimal:
    return DECIMALS.ln(value)


def _log(items: Items, frame: Frame, base: Closure) -> Items:
    number, root = number_of(items, "log()"), number_of(base(frame), "log()")
    if number is None or root is None:
        return []
    # the quotient of two rounded logarithms is off in its last digits: 100.log(10) is 2
    return _decimal(
        lambda: (DECIMALS.ln(Decimal(number)) / DECIMALS.ln(Decimal(root))).quantize(
            Decimal(1).scaleb(-20), ROUND_HALF_UP
        )
    )


def _power(items: Items, frame: Frame, exponent: Closure) -> Items:
    number, power = number_of(items, "power()"), number_of(exponent(frame), "power()")
    if number is None or power is None:
        return []
    found = _decimal(lambda: DECIMALS.power(Decimal(number), Decimal(power)))
    if found and number.__class__ is int and power.__class__ is int and power >= 0:
        return bounded(int(found[0]))
    return found


MATHEMATICS: Final = {
    "abs": Function(_abs),
    "ceiling": _whole("ceiling()", ROUND_CEILING),
    "exp": _real("exp()", _exp),
    "floor": _whole("floor()", ROUND_FLOOR),
    "ln": _real("ln()", _ln),
    "log": Function(_log, 1, 1),
    "power": Function(_power, 1, 1),
    "round": Function(_round, 0, 1),
    "sqrt": _real("sqrt()", DECIMALS.sqrt),
    "truncate": Function(_truncate),
}
