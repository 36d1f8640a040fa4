"""Says which resources composites, units, comparators and texts find, by looking at each: slow and plain.

Beside `oracle`, for the shapes of `test_extended_equals_oracle`, written from
https://hl7.org/fhir/R4/search.html and nothing of ours. Units are those of the table below only.
"""

import math
from fractions import Fraction

from hie.core.fhir.json import Json, JsonObject

UCUM = "http://unitsofmeasure.org"
# Unit: what kind of quantity, how many of its own smallest unit.
_UNITS = {
    "g": ("mass", Fraction(1000)),
    "mg": ("mass", Fraction(1)),
    "ug": ("mass", Fraction(1, 1000)),
    "mg/dL": ("concentration", Fraction(10)),
    "g/L": ("concentration", Fraction(1000)),
}
_INFINITE = Fraction(10**40)
_JUST = Fraction(1, 10**20)


def finds(resource: JsonObject, name: str, value: str) -> bool:
    """Return whether ``name=value`` finds `resource`, an Observation."""
    if name == "value-quantity":
        return any(_quantity(each, value) for each in _quantities(resource))
    if name == "combo-value-quantity":
        return any(_quantity(each, value) for holder in _holders(resource) for each in _quantities(holder))
    code, _, second = value.partition("$")
    holders = [resource] if name.startswith("code-") else _holders(resource)
    if name.startswith("component-"):
        holders = resource.get("component", [])
    if name.endswith("value-quantity"):
        return any(
            _code(holder, code) and any(_quantity(each, second) for each in _quantities(holder))
            for holder in holders
        )
    if name.endswith("value-concept"):
        return any(
            _code(holder, code) and _coding(holder.get("valueCodeableConcept"), second) for holder in holders
        )
    return any(_code(holder, code) and _starts(holder.get("valueString"), second) for holder in holders)


def _holders(resource: JsonObject) -> list[JsonObject]:
    return [resource, *resource.get("component", [])]


def _quantities(holder: JsonObject) -> list[JsonObject]:
    return [holder["valueQuantity"]] if "valueQuantity" in holder else []


def _code(holder: JsonObject, value: str) -> bool:
    return _coding(holder.get("code"), value)


def _coding(concept: Json, value: str) -> bool:
    if concept is None:
        return False
    for coding in concept.get("coding", []):
        system, bar, code = value.partition("|")
        if not bar and coding.get("code") == value:
            return True
        if bar and coding.get("system", "") == system and code in {"", coding.get("code")}:
            return True
    return False


def _starts(text: Json, value: str) -> bool:
    return isinstance(text, str) and text.lower().startswith(value.lower())


def _range(element: JsonObject) -> tuple[Fraction, Fraction]:
    value = Fraction(str(element["value"]))
    return {
        None: (value, value),
        "<": (-_INFINITE, value - _JUST),
        "<=": (-_INFINITE, value),
        ">=": (value, _INFINITE),
        ">": (value + _JUST, _INFINITE),
    }[element.get("comparator")]


def _quantity(element: JsonObject, value: str) -> bool:
    number, *unit = value.split("|")
    prefix = number[:2] if number[0].isalpha() else "eq"
    digits = number.removeprefix(prefix)
    wanted = Fraction(digits)
    half = Fraction(1, 2 * 10 ** len(digits.partition(".")[2]))
    margin = abs(wanted) / 10 if prefix == "ap" else half
    low, high = wanted - margin, wanted + margin
    start, end = _range(element)
    if unit:
        system, code = unit
        if system == UCUM:
            if element.get("system") != UCUM or element.get("code") not in _UNITS:
                return False
            kind, factor = _UNITS[code]
            own_kind, own_factor = _UNITS[element["code"]]
            if kind != own_kind:
                return False
            start, end = start * own_factor, end * own_factor
            wanted, low, high = wanted * factor, low * factor, high * factor
        elif code not in {element.get("code"), element.get("unit")}:
            return False
    return {
        "eq": low <= start and end < high,
        "ne": start < low or end >= high,
        "gt": end > wanted,
        "lt": start < wanted,
        "ge": end >= wanted,
        "le": start <= wanted,
        "sa": start > wanted,
        "eb": end < wanted,
        "ap": start <= high and end >= low,
    }[prefix]


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance of two (latitude, longitude) on a sphere, by vectors and not by haversines."""
    ends = []
    for latitude, longitude in (one, other):
        phi, lam = math.radians(latitude), math.radians(longitude)
        ends.append((math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)))
    (a, b, c), (x, y, z) = ends
    cross = math.hypot(b * z - c * y, c * x - a * z, a * y - b * x)
    return 6371.0088 * math.atan2(cross, a * x + b * y + c * z)
