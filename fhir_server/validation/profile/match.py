"""fixed[x] and pattern[x]: whether a value is what a profile says it is.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_
"""

from decimal import Decimal

from hie.core.fhir.json import Json


def is_fixed(value: Json, fixed: Json) -> bool:
    """Return whether `value` is exactly `fixed`: the same elements with the same values, and no more."""
    if isinstance(fixed, dict):
        return (
            isinstance(value, dict)
            and value.keys() == fixed.keys()
            and all(is_fixed(value[name], fixed[name]) for name in fixed)
        )
    if isinstance(fixed, list):
        return (
            isinstance(value, list)
            and len(value) == len(fixed)
            and all(is_fixed(one, other) for one, other in zip(value, fixed, strict=True))
        )
    return _is_same(value, fixed)


def has_pattern(value: Json, pattern: Json) -> bool:
    """Return whether `value` has all that `pattern` says; it may have more.

    Each item of an array of the pattern matches some item of the array of the value.
    """
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and has_pattern(value[name], pattern[name]) for name in pattern
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(has_pattern(item, wanted) for item in value) for wanted in pattern
        )
    return _is_same(value, pattern)


def _is_same(value: Json, other: Json) -> bool:
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    if isinstance(value, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return Decimal(str(value)) == Decimal(str(other))
    return type(value) is type(other) and bool(value == other)
