"""Rows of ix_number and ix_quantity: decimals, quantities, money, ranges and sampled data.

The value in the resource is taken as exact; implicit precision belongs to the
number that is searched for (https://hl7.org/fhir/R4/search.html#number).
"""

from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from typing import Final

from fhir_server.index.hashing import hash32, hash64
from fhir_server.index.rows import UNBOUNDED_HIGH, UNBOUNDED_LOW, IndexRows
from fhir_server.index.ucum import unit_of
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json, JsonObject

# low, high, system, code, unit, canonical unit, low and high in it; 0 and None where there is none.
Measure = tuple[Decimal, Decimal, int, int, int, int, Decimal | None, Decimal | None]
Measures = Callable[[Json], Measure | None]

# PostgreSQL's numeric has 16,383 digits after the point, and an entry of a B-tree 2,704 bytes
# (https://www.postgresql.org/docs/current/datatype-numeric.html): numbers beyond are rounded or left out.
_FARTHEST: Final = 15_000
_LONGEST: Final = Context(prec=1_000)
_LARGE: Final = 10**18

UCUM: Final = "http://unitsofmeasure.org"
# What ">7" is away from 7: the columns hold closed spans.
_LEAST: Final = Decimal("1e-30")
# Powers of ten beyond which nothing is measured, and fractions become slow.
_MEASURED: Final = 200

NUMBER_TYPES: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})

# https://hl7.org/fhir/R4/datatypes.html#Money: the code is from ISO 4217.
_CURRENCY: Final = hash32("urn:iso:std:iso:4217")


def measures_of(kind: str) -> Measures | None:
    """Return what reads the measure of a value of FHIR type `kind`, None where it has none."""
    return _READERS.get(kind)


def quantity_emit(measures: Measures, params: tuple[int, ...]) -> Emit:
    """Return what adds the ix_quantity row of a value for each of `params`."""

    def emit(value: Json, rows: IndexRows) -> None:
        measure = measures(value)
        if measure is not None:
            for param in params:
                rows.quantity.append((param, *measure))

    return emit


def number_emit(params: tuple[int, ...]) -> Emit:
    """Return what adds the ix_number row of a decimal or integer for each of `params`."""

    def emit(value: Json, rows: IndexRows) -> None:
        number = decimal_of(value)
        if number is not None:
            for param in params:
                rows.number.append((param, number, number))

    return emit


def decimal_of(value: Json) -> Decimal | None:
    """Return a JSON number as the decimal that its text shows, None for anything else."""
    if type(value) is Decimal:
        return _storable(value) if value.is_finite() else None
    if type(value) is int:
        return Decimal(value) if -_LARGE < value < _LARGE else _storable(Decimal(value))
    # The shortest text that reads back as the same float is what the sender wrote.
    return Decimal(repr(value)) if type(value) is float else None


def _storable(number: Decimal) -> Decimal | None:
    """Return `number` as far as an index of PostgreSQL can hold it; None beyond its exponents."""
    if number and not -_FARTHEST < number.adjusted() < _FARTHEST:
        return None
    return _LONGEST.plus(number)


def canonical_amounts(code: str, amounts: tuple[Decimal, ...]) -> tuple[int, tuple[Decimal, ...]] | None:
    """Return the hash of the canonical unit of the UCUM unit `code`, and `amounts` in it; None without."""
    unit = unit_of(code)
    if unit is None or not all(-_MEASURED < each.adjusted() < _MEASURED for each in amounts if each):
        return None
    return hash64(unit.canonical), tuple(unit.amount(each) if each.is_finite() else each for each in amounts)


def _quantity(value: Json) -> Measure | None:
    """Return the span of a Quantity; one with a comparator is open to one side."""
    if type(value) is not dict:
        return None
    number = decimal_of(value.get("value"))
    if number is None:
        return None
    comparator = value.get("comparator")
    low, high = number, number
    if comparator is not None:
        low, high = _open(number, comparator)
    return low, high, *_unit(value), *_canonical(value, low, high)


def _open(number: Decimal, comparator: Json) -> tuple[Decimal, Decimal]:
    """Return the span of ``comparator number`` (https://hl7.org/fhir/R4/valueset-quantity-comparator.html)."""
    match comparator:
        case "<":
            return UNBOUNDED_LOW, _LONGEST.subtract(number, _LEAST)
        case "<=":
            return UNBOUNDED_LOW, number
        case ">=":
            return number, UNBOUNDED_HIGH
        case ">":
            return _LONGEST.add(number, _LEAST), UNBOUNDED_HIGH
        case _:
            return number, number


def _unit(quantity: JsonObject) -> tuple[int, int, int]:
    system, code, unit = quantity.get("system"), quantity.get("code"), quantity.get("unit")
    return (
        hash32(system if type(system) is str else None),
        hash64(code) if type(code) is str else 0,
        hash64(unit) if type(unit) is str else 0,
    )


def _canonical(
    quantity: JsonObject, low: Decimal, high: Decimal
) -> tuple[int, Decimal | None, Decimal | None]:
    code = quantity.get("code")
    if quantity.get("system") != UCUM or type(code) is not str:
        return 0, None, None
    if low is high:  # nearly always, and a third of the time of the general case
        unit = unit_of(code)
        if unit is None or not -_MEASURED < low.adjusted() < _MEASURED:
            return 0, None, None
        amount = unit.amount(low)
        return hash64(unit.canonical), amount, amount
    found = canonical_amounts(code, (low, high))
    if found is None:
        return 0, None, None
    canonical, amounts = found
    return canonical, amounts[0], amounts[1]


def _money(value: Json) -> Measure | None:
    if type(value) is not dict:
        return None
    number = decimal_of(value.get("value"))
    currency = value.get("currency")
    if number is None:
        return None
    return number, number, _CURRENCY, hash64(currency) if type(currency) is str else 0, 0, 0, None, None


def _range(value: Json) -> Measure | None:
    if type(value) is not dict:
        return None
    low, high = value.get("low"), value.get("high")
    bottom, top = _quantity(low), _quantity(high)
    if bottom is None and top is None:
        return None
    named = (low if bottom is not None else high) or {}
    least = UNBOUNDED_LOW if bottom is None else bottom[0]
    most = UNBOUNDED_HIGH if top is None else top[1]
    # Bounds in two units, which FHIR does not allow, have no span in either; each has its canonical amount.
    canonical = next((each[5] for each in (bottom, top) if each is not None), 0)
    if canonical == 0 or any(each is not None and each[5] != canonical for each in (bottom, top)):
        return least, most, *_unit(named), 0, None, None
    return (
        least,
        most,
        *_unit(named),
        canonical,
        UNBOUNDED_LOW if bottom is None else bottom[6],
        UNBOUNDED_HIGH if top is None else top[7],
    )


def _sampled_data(value: Json) -> Measure | None:  # noqa: PLR0911 - one for each thing that may be missing
    """Return the bounds of the points: origin + point x factor (https://hl7.org/fhir/R4/datatypes.html#SampledData)."""
    if type(value) is not dict or type(value.get("origin")) is not dict or type(value.get("data")) is not str:
        return None
    zero = decimal_of(value["origin"].get("value"))
    factor = decimal_of(value.get("factor", 1))
    points: list[Decimal] = []
    for text in value["data"].split():
        if text not in {"E", "L", "U"}:  # error, below and above the limits of detection
            try:
                point = Decimal(text)
            except InvalidOperation:
                return None
            if not point.is_finite():
                return None
            points.append(point)
    if zero is None or factor is None or not points:
        return None
    try:
        ends = sorted((zero + min(points) * factor, zero + max(points) * factor))
    except ArithmeticError:  # beyond what decimals can say, so nothing that anyone searches for
        return None
    low, high = _storable(ends[0]), _storable(ends[1])
    if low is None or high is None:
        return None
    return low, high, *_unit(value["origin"]), *_canonical(value["origin"], low, high)


_READERS: Final[dict[str, Measures]] = {
    **dict.fromkeys(("Quantity", "Age", "Duration", "Distance", "Count", "SimpleQuantity"), _quantity),
    "Money": _money,
    "Range": _range,
    "SampledData": _sampled_data,
}
