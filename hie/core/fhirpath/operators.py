"""The binary operators of FHIRPath on collections (https://hl7.org/fhirpath/N1/#operations).

Each takes the collections on its two sides and returns one. ``and``, ``or`` and ``implies`` are three-valued
and so take the right side as it stands. Type operators are in `type_tests`.
"""

from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, Final

from hie.core.fhirpath.calendar_arithmetic import shifted
from hie.core.fhirpath.equality import as_quantity, distinct, equals, equivalent, holds
from hie.core.fhirpath.evaluation import LONGEST_TEXT, Run
from hie.core.fhirpath.node import Items
from hie.core.fhirpath.quantity import Quantity, decimal_of, in_common_unit, product
from hie.core.fhirpath.temporal import Temporal, Time, compare
from hie.core.fhirpath.values import (
    DECIMALS,
    bounded,
    is_number,
    operand,
    single,
    system_name,
    text_of,
    truth,
)
from hie.core.language_errors import FhirPathError, FhirPathLimitError

Operator = Callable[[Items, Items, Run], Items]


def as_items(verdict: bool | None) -> Items:  # noqa: FBT001 # a three-valued truth is the value itself
    """Return a three-valued truth as a collection."""
    return [] if verdict is None else [verdict]


def order(left: Items, right: Items, operator: str) -> int | None:
    """Return -1, 0 or 1 as one item is less than, equal to or greater than another; None where open."""
    one, other = _both(left, right, operator)
    if one is None or other is None:
        return None
    if (is_number(one) and is_number(other)) or (isinstance(one, str) and isinstance(other, str)):
        return -1 if one < other else int(one > other)  # type: ignore[operator] # both are of one kind
    if isinstance(one, Temporal) and isinstance(other, Temporal):
        if isinstance(one, Time) is isinstance(other, Time):
            return compare(one, other)
    elif isinstance(one, Quantity) or isinstance(other, Quantity):
        first, second = as_quantity(one), as_quantity(other)
        if first is not None and second is not None:
            values = in_common_unit(first, second)
            return None if values is None else (values[0] > values[1]) - (values[0] < values[1])
    raise _mismatch(one, other, operator)


def add(left: Items, right: Items, _: Run) -> Items:
    """Return the sum: of numbers, texts, quantities, or of a date and a duration."""
    return _sum(left, right, 1, "+")


def subtract(left: Items, right: Items, _: Run) -> Items:
    """Return the difference: of numbers, quantities, or a date less a duration."""
    return _sum(left, right, -1, "-")


def multiply(left: Items, right: Items, _: Run) -> Items:
    """Return the product of numbers or quantities."""
    one, other = _both(left, right, "*")
    if one is None or other is None:
        return []
    if is_number(one) and is_number(other):
        return _calculated(lambda: DECIMALS.multiply(one, other) if _has_decimal(one, other) else one * other)
    first, second = as_quantity(one), as_quantity(other)
    if first is None or second is None:
        raise _mismatch(one, other, "*")
    return _quantity_result(lambda: product(first, second, is_quotient=False))


def divide(left: Items, right: Items, _: Run) -> Items:
    """Return the quotient, always a Decimal or a Quantity; nothing where the divisor is zero."""
    one, other = _both(left, right, "/")
    if one is None or other is None:
        return []
    if is_number(one) and is_number(other):
        return _calculated(lambda: DECIMALS.divide(Decimal(one), Decimal(other)))
    first, second = as_quantity(one), as_quantity(other)
    if first is None or second is None:
        raise _mismatch(one, other, "/")
    return _quantity_result(lambda: product(first, second, is_quotient=True))


def divide_whole(left: Items, right: Items, _: Run) -> Items:
    """Return the quotient without its fraction."""
    one, other = _numbers(left, right, "div")
    if one is None or other is None:
        return []
    return _calculated(lambda: int(DECIMALS.divide_int(Decimal(one), Decimal(other))))


def modulo(left: Items, right: Items, _: Run) -> Items:
    """Return the rest of the division; its sign is that of the dividend."""
    one, other = _numbers(left, right, "mod")
    if one is None or other is None:
        return []
    is_decimal = _has_decimal(one, other)
    return _calculated(
        lambda: (
            DECIMALS.remainder(Decimal(one), Decimal(other))
            if is_decimal
            else int(DECIMALS.remainder(Decimal(one), Decimal(other)))
        )
    )


def concatenate(left: Items, right: Items, _: Run) -> Items:
    """Return the texts joined, nothing counting as the empty text."""
    return [checked_text((text_of(left, "`&`") or "") + (text_of(right, "`&`") or ""))]


def union(left: Items, right: Items, run: Run) -> Items:
    """Return the distinct items of both."""
    run.spend(len(left) + len(right))
    return distinct(left + right, run.spend)


def conjunction(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 # three-valued truths
    """Return three-valued ``and``."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def disjunction(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 # three-valued truths
    """Return three-valued ``or``."""
    if left or right:
        return True
    return None if left is None or right is None else False


def exclusive(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 # three-valued truths
    """Return three-valued ``xor``."""
    return None if left is None or right is None else left is not right


def implication(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001 # three-valued truths
    """Return three-valued ``implies``."""
    if left is False or right:
        return True
    return None if left is None or right is None else False


def checked_text(text: str) -> str:
    """Return `text`. Raises FhirPathLimitError where it is longer than an expression may make it."""
    if len(text) > LONGEST_TEXT:
        raise FhirPathLimitError(f"The expression makes a text of {len(text)} characters")
    return text


def negated(items: Items) -> Items:
    """Return the number or quantity with the other sign."""
    value = operand(items, "`-`")
    if value is None:
        return []
    if is_number(value):
        return bounded(-value)
    if isinstance(value, Quantity):
        return [Quantity(-value.value, value.unit, value.is_calendar)]
    raise FhirPathError(f"`-` takes a number or a Quantity, not a {_described(value)}")


def _comparison(operator: str, accepted: tuple[int, ...]) -> Operator:
    def compare_items(left: Items, right: Items, _: Run) -> Items:
        found = order(left, right, operator)
        return [] if found is None else [found in accepted]

    return compare_items


def _equality(*, is_negated: bool) -> Operator:
    def compare_collections(left: Items, right: Items, run: Run) -> Items:
        run.spend(min(len(left), len(right)))
        verdict = equals(left, right)
        return [] if verdict is None else [verdict is not is_negated]

    return compare_collections


def _equivalence(*, is_negated: bool) -> Operator:
    def compare_collections(left: Items, right: Items, run: Run) -> Items:
        if len(left) == len(right):
            run.spend(len(left) * len(right))
        return [equivalent(left, right) is not is_negated]

    return compare_collections


def _in(left: Items, right: Items, run: Run) -> Items:
    item = single(left, "`in`")
    run.spend(len(right))
    return [] if item is None else [holds(right, item)]


def _contains(left: Items, right: Items, run: Run) -> Items:
    item = single(right, "`contains`")
    run.spend(len(left))
    return [] if item is None else [holds(left, item)]


OPERATORS: Final[dict[str, Operator]] = {
    "=": _equality(is_negated=False),
    "!=": _equality(is_negated=True),
    "~": _equivalence(is_negated=False),
    "!~": _equivalence(is_negated=True),
    "<": _comparison("<", (-1,)),
    "<=": _comparison("<=", (-1, 0)),
    ">": _comparison(">", (1,)),
    ">=": _comparison(">=", (1, 0)),
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "div": divide_whole,
    "mod": modulo,
    "&": concatenate,
    "|": union,
    "in": _in,
    "contains": _contains,
}
# With a boolean that decides without the right side, where there is one.
LOGIC: Final[dict[str, tuple[Callable[[bool | None, bool | None], bool | None], bool | None]]] = {
    "and": (conjunction, False),
    "or": (disjunction, True),
    "xor": (exclusive, None),
    "implies": (implication, False),
}


def truth_of(items: Items, operator: str) -> bool | None:
    """Return the truth that `items` are for a logical operator."""
    return truth(items, f"`{operator}`")


def _both(left: Items, right: Items, operator: str) -> tuple[Any, Any]:
    what = f"`{operator}`"
    return operand(left, what), operand(right, what)


def _numbers(left: Items, right: Items, operator: str) -> tuple[Any, Any]:
    one, other = _both(left, right, operator)
    if one is not None and other is not None and not (is_number(one) and is_number(other)):
        raise _mismatch(one, other, operator)
    return one, other


def _sum(left: Items, right: Items, sign: int, operator: str) -> Items:
    one, other = _both(left, right, operator)
    if one is None or other is None:
        return []
    if is_number(one) and is_number(other):
        if _has_decimal(one, other):
            return _calculated(lambda: DECIMALS.add(Decimal(one), Decimal(other) * sign))
        return bounded(one + sign * other)
    if isinstance(one, str) and isinstance(other, str) and sign > 0:
        return [checked_text(one + other)]
    if isinstance(one, Temporal) and isinstance(other, Quantity):
        later = shifted(one, other.value * sign, other.unit)
        return [] if later is None else [later]
    if isinstance(one, Quantity) and isinstance(other, Quantity):
        return _sum_of_quantities(one, other, sign)
    raise _mismatch(one, other, operator)


def _sum_of_quantities(one: Quantity, other: Quantity, sign: int) -> Items:
    values = in_common_unit(one, other)
    if values is None:
        return []
    if one.unit == other.unit:
        return _quantity_result(lambda: Quantity(one.value + sign * other.value, one.unit, one.is_calendar))
    # in the unit of the left side: its base value over its own value is what one of it is
    whole = values[0] + sign * values[1]
    unit = in_common_unit(Quantity(Decimal(1), one.unit, one.is_calendar), other)
    if unit is None or not unit[0]:
        return []
    return _quantity_result(lambda: Quantity(decimal_of(whole / unit[0]), one.unit, one.is_calendar))


def _calculated(calculate: Callable[[], int | Decimal]) -> Items:
    try:
        return bounded(calculate())
    except (DivisionByZero, InvalidOperation, Overflow):
        return []


def _quantity_result(calculate: Callable[[], Quantity | None]) -> Items:
    try:
        found = calculate()
    except (DivisionByZero, InvalidOperation, Overflow):
        return []
    return [] if found is None or not bounded(found.value) else [found]


def _has_decimal(*values: int | Decimal) -> bool:
    return any(value.__class__ is Decimal for value in values)


def _described(value: Any) -> str:
    return system_name(value) or str(getattr(value, "type_name", type(value).__name__))


def _mismatch(one: Any, other: Any, operator: str) -> FhirPathError:
    return FhirPathError(f"`{operator}` does not take a {_described(one)} and a {_described(other)}")
