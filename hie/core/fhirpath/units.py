"""Codes of UCUM as a factor and a dimension, exactly (https://ucum.org/ucum).

Reads `ucum_units.json` (made by `units_extract`). Of the units on special scales only temperatures are
converted; arbitrary units such as ``[iU]`` compare with themselves alone, as UCUM has it (section 24).
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import orjson

from hie.core.fhir.json import JsonObject

_FILE: Final = Path(__file__).with_name("ucum_units.json")
_LONGEST: Final = 100
_HIGHEST_EXPONENT: Final = 99
_COMPONENT: Final = re.compile(
    r"(?P<note>\{[^{}]*\})|(?P<atom>10[*^]|(?:\[[^\[\]]*\]|[A-Za-z%'_])+)(?P<power>[+-]?\d+)?|(?P<factor>\d+)",
    re.ASCII,
)
# K = (value + shift) x scale: UCUM section 30, table 10; https://ucum.org/ucum#section-Special-Units-on-non-ratio-Scales
_TEMPERATURES: Final = {
    "Cel": (Fraction("273.15"), Fraction(1)),
    "[degF]": (Fraction("459.67"), Fraction(5, 9)),
}

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` times the base units of `dimension` (symbol, exponent; sorted); on scales, after `shift`."""

    factor: Fraction
    dimension: Dimension = ()
    shift: Fraction = Fraction(0)

    @property
    def is_special(self) -> bool:
        """Whether the scale has a zero of its own, so that nothing can be multiplied with it."""
        return self.shift != 0

    def to_base(self, value: Decimal) -> Fraction:
        """Return `value` of this unit in base units."""
        return (Fraction(value) + self.shift) * self.factor

    def of_base(self, value: Fraction) -> Fraction:
        """Return `value` in base units as one of this unit."""
        return value / self.factor - self.shift

    def times(self, other: "Unit", power: int = 1) -> "Unit":
        """Return the product with `other` to `power`."""
        exponents = dict(self.dimension)
        for symbol, exponent in other.dimension:
            exponents[symbol] = exponents.get(symbol, 0) + exponent * power
        dimension = tuple(sorted((symbol, exponent) for symbol, exponent in exponents.items() if exponent))
        return Unit(self.factor * other.factor**power, dimension)

    def base_text(self) -> str:
        """Return the code of the base units: ``g.m2.s-2``, "1" for none."""
        return (
            ".".join(f"{symbol}{exponent if exponent != 1 else ''}" for symbol, exponent in self.dimension)
            or "1"
        )


class _NoUnitError(ValueError):
    """The text is not a unit that this module knows."""


@lru_cache(maxsize=1000)
def unit_of(code: str) -> Unit | None:
    """Return what the UCUM `code` stands for ("mg/dL", "10*3/uL"), None where it cannot be converted."""
    if not 0 < len(code) <= _LONGEST or not code.isascii():
        return None
    if code in _TEMPERATURES:
        shift, scale = _TEMPERATURES[code]
        return Unit(scale, (("K", 1),), shift)
    try:
        unit, at = _term(code, 0)
    except (_NoUnitError, OverflowError):
        return None
    return unit if at == len(code) else None


def _term(code: str, at: int) -> tuple[Unit, int]:
    unit, power = Unit(Fraction(1)), 1
    if code.startswith("/", at):
        at, power = at + 1, -1
    while True:
        factor, at = _component(code, at)
        unit = unit.times(factor, power)
        if at == len(code) or code[at] not in "./":
            return unit, at
        power = -1 if code[at] == "/" else 1
        at += 1


def _component(code: str, at: int) -> tuple[Unit, int]:
    if code.startswith("(", at):
        unit, at = _term(code, at + 1)
        if not code.startswith(")", at):
            raise _NoUnitError(code)
        return unit, _after_note(code, at + 1)
    match = _COMPONENT.match(code, at)
    if match is None:
        raise _NoUnitError(code)
    if match["note"]:
        return Unit(Fraction(1)), match.end()
    if match["factor"]:
        if not int(match["factor"]):  # nothing is a multiple of zero
            raise _NoUnitError(code)
        return Unit(Fraction(int(match["factor"]))), _after_note(code, match.end())
    power = int(match["power"] or 1)
    if abs(power) > _HIGHEST_EXPONENT:
        raise _NoUnitError(code)
    return Unit(Fraction(1)).times(_symbol(match["atom"]), power), _after_note(code, match.end())


def _after_note(code: str, at: int) -> int:
    match = _COMPONENT.match(code, at)
    return match.end() if match and match["note"] else at


@cache
def _symbols() -> JsonObject:
    return orjson.loads(_FILE.read_bytes())  # type: ignore[no-any-return] # our own file


def _symbol(symbol: str) -> Unit:
    unit = _atom(symbol)
    if unit is not None:
        return unit
    for length in (2, 1):  # `da` and the binary prefixes have two letters
        factor = _symbols()["prefixes"].get(symbol[:length])
        if factor is not None and _takes_prefix(symbol[length:]):
            found = _atom(symbol[length:])
            if found is not None:
                return Unit(found.factor * Fraction(factor), found.dimension)
    raise _NoUnitError(symbol)


def _takes_prefix(symbol: str) -> bool:
    row = _symbols()["units"].get(symbol)
    return symbol in _symbols()["bases"] or (row is not None and "M" in row[2])


def _atom(symbol: str) -> Unit | None:
    if symbol in _symbols()["bases"]:
        return Unit(Fraction(1), ((symbol, 1),))
    row = _symbols()["units"].get(symbol)
    if row is None:
        return None
    factor, of, flags = row
    if "S" in flags:
        raise _NoUnitError(symbol)
    if "A" in flags and of == "1":
        return Unit(Fraction(1), ((symbol, 1),))
    unit, _ = _term(of, 0)
    return Unit(unit.factor * Fraction(factor), unit.dimension)
