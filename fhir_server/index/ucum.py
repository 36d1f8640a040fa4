"""Amounts in UCUM units, brought to one canonical unit for each kind of quantity.

5.4 mg and 0.0054 g are the same mass (https://hl7.org/fhir/R4/search.html#quantity). The units and
their factors are those of `hie.core.fhirpath.units`; here they become decimals that an index can hold.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from hie.core.fhirpath import units

# Two ways to the same amount give the same fraction, so that rounding it gives the same decimal.
_ROUNDED: Final = Context(prec=40)


@dataclass(frozen=True, slots=True)
class CanonicalUnit:
    """A unit and its canonical one; `scale` is the factor between them where a decimal says it all."""

    unit: units.Unit
    canonical: str
    scale: Decimal | None

    def amount(self, value: Decimal) -> Decimal:
        """Return `value` of this unit as a value of the canonical unit."""
        if self.scale is not None:  # a tenth of the time of fractions
            return _ROUNDED.multiply(value, self.scale)
        return _rounded(self.unit.to_base(value))


@lru_cache(maxsize=4_096)
def unit_of(code: str) -> CanonicalUnit | None:
    """Return the unit with the UCUM `code`, None for what is no code or has no canonical form (pH).

    >>> unit_of("mg/dL").canonical, str(unit_of("mg").amount(Decimal("5.4")))
    ('g.m-3', '0.0054')
    """
    unit = units.unit_of(code)
    if unit is None or not unit.factor:
        return None
    scale = _rounded(unit.factor)
    is_plain = not unit.is_special and Fraction(scale) == unit.factor
    return CanonicalUnit(unit, unit.base_text(), scale if is_plain else None)


def _rounded(exact: Fraction) -> Decimal:
    return _ROUNDED.divide(Decimal(exact.numerator), Decimal(exact.denominator))
