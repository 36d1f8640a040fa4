"""System.Quantity: a decimal and a unit, compared and calculated with in UCUM (https://hl7.org/fhirpath/N1/#quantity)."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from hie.core.fhirpath.units import unit_of

# Calendar words that are a definite duration of UCUM. Years and months are not: they compare with themselves
# only (https://hl7.org/fhirpath/N1/#time-valued-quantities).
_DEFINITE: Final[dict[str, str]] = {
    **dict.fromkeys(("week", "weeks"), "wk"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("hour", "hours"), "h"),
    **dict.fromkeys(("minute", "minutes"), "min"),
    **dict.fromkeys(("second", "seconds"), "s"),
    **dict.fromkeys(("millisecond", "milliseconds"), "ms"),
}
_CALENDAR: Final[dict[str, str]] = {"years": "year", "months": "month"}
_MONTHS: Final = {"year": 12, "month": 1}
_CALENDAR_LIKE: Final[dict[str, str]] = {"year": "a", "month": "mo"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """`value` of `unit`: a code of UCUM ("1" for none), or a calendar word where `is_calendar`."""

    value: Decimal
    unit: str = "1"
    is_calendar: bool = False

    def __str__(self) -> str:
        return f"{self.value:f} {self.unit}" if self.is_calendar else f"{self.value:f} '{self.unit}'"


def in_common_unit(left: Quantity, right: Quantity) -> tuple[Fraction, Fraction] | None:
    """Return both values in one unit, None where they are of different kinds."""
    one, other = _name(left), _name(right)
    if one == other:
        return Fraction(left.value), Fraction(right.value)
    if {one, other} == {"year", "month"}:  # a calendar year is twelve months
        return Fraction(left.value) * _MONTHS[one], Fraction(right.value) * _MONTHS[other]
    first, second = unit_of(one), unit_of(other)
    if first is None or second is None or first.dimension != second.dimension:
        return None
    return first.to_base(left.value), second.to_base(right.value)


def are_equivalent(left: Quantity, right: Quantity) -> bool:
    """Return whether both are the same, rounded to the less precise; a calendar year counts as UCUM's `a`.

    https://hl7.org/fhirpath/N1/#quantity-equivalence
    """
    one, other = _loose_name(left), _loose_name(right)
    value = Fraction(right.value)
    if one != other:
        first, second = unit_of(one), unit_of(other)
        if first is None or second is None or first.dimension != second.dimension:
            return False
        value = first.of_base(second.to_base(right.value))
    digits = min(fraction_digits(left.value), fraction_digits(decimal_of(value)))
    return round(Fraction(left.value), digits) == round(value, digits)


def product(left: Quantity, right: Quantity, *, is_quotient: bool) -> Quantity | None:
    """Return left x right or left / right, in base units where the units differ; None where UCUM has none."""
    one, other = _name(left), _name(right)
    if is_quotient and right.value == 0:
        return None
    value = left.value / right.value if is_quotient else left.value * right.value
    if other == "1":
        return Quantity(value, left.unit, left.is_calendar)
    if one == "1" and not is_quotient:
        return Quantity(value, right.unit, right.is_calendar)
    if one == other and is_quotient:
        return Quantity(value)
    first, second = unit_of(one), unit_of(other)
    if first is None or second is None or first.is_special or second.is_special:
        return None
    unit = first.times(second, -1 if is_quotient else 1)
    return Quantity(decimal_of(unit.to_base(value)), unit.base_text())


def converted(quantity: Quantity, unit: str) -> Quantity | None:
    """Return `quantity` in `unit`, None where UCUM has no way."""
    name = _name(Quantity(Decimal(1), unit))
    source, target = unit_of(_name(quantity)), unit_of(name)
    if _name(quantity) == name:
        return Quantity(quantity.value, unit, quantity.is_calendar)
    if source is None or target is None or source.dimension != target.dimension:
        return None
    return Quantity(decimal_of(target.of_base(source.to_base(quantity.value))), unit)


def decimal_of(value: Fraction) -> Decimal:
    """Return `value` as a decimal of the current precision."""
    return Decimal(value.numerator) / Decimal(value.denominator)


def fraction_digits(value: Decimal) -> int:
    """Return how many digits are written after the point."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _name(quantity: Quantity) -> str:
    return _DEFINITE.get(quantity.unit) or _CALENDAR.get(quantity.unit) or quantity.unit


def _loose_name(quantity: Quantity) -> str:
    name = _name(quantity)
    return _CALENDAR_LIKE.get(name, name)
