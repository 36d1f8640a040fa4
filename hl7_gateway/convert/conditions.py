"""The conditions that map files name: `when` asks about a segment, `where` about one repetition of a field.

A map names a condition and never contains one. Names follow the IG's own wording of its conditions (`IF
PID-29 NOT VALUED` is `not_valued_PID-29`); those that only ask whether a field is valued need no function
of their own: `valued_PV1-43`, `not_valued_PV1-45`.
"""

import re
from collections.abc import Callable

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import NULL, Repetition, Segment

Condition = Callable[[Segment, Run], bool]
Where = Callable[[Repetition], bool]

_conditions: dict[str, Condition] = {}
_wheres: dict[str, Where] = {}
_needs: dict[str, int] = {}

_NO_VALUE = frozenset({"", NULL})
_VALUED = re.compile(r"(not_)?valued_([A-Z][A-Z0-9]{2})-([0-9]+)(?:\.([0-9]+))?")


def named_condition(function: Condition) -> Condition:
    """Register a condition under its function's name."""
    _conditions[function.__name__] = function
    return function


def condition_on(field: int) -> Callable[[Condition], Condition]:
    """Register a condition under its function's name that cannot hold unless `field` is filled."""

    def register(function: Condition) -> Condition:
        _needs[function.__name__] = field
        return named_condition(function)

    return register


def named_where(function: Where) -> Where:
    """Register a condition on a repetition under its function's name."""
    _wheres[function.__name__] = function
    return function


def condition(name: str) -> Condition:
    """Return the condition called `name`; raises ConfigurationError when there is none."""
    known = _conditions.get(name)
    if known is not None:
        return known
    valued = _VALUED.fullmatch(name)
    if valued is None:
        raise ConfigurationError(f"There is no condition `{name}`")
    return _valued(int(valued[3]), int(valued[4] or 0), is_wanted=not valued[1])


def needed_field(name: str) -> int:
    """Return the field without which the condition called `name` cannot hold, 0 if that cannot be said."""
    if name in _conditions:
        return _needs.get(name, 0)
    valued = _VALUED.fullmatch(name)
    return 0 if valued is None or valued[1] else int(valued[3])


def where_condition(name: str) -> Where:
    """Return the condition on a repetition called `name`; raises ConfigurationError when there is none."""
    try:
        return _wheres[name]
    except KeyError:
        raise ConfigurationError(f"There is no condition on a repetition `{name}`") from None


def _valued(field: int, component: int, *, is_wanted: bool) -> Condition:
    if component:
        return lambda segment, _run: bool(segment.first(field, component)) is is_wanted

    def field_is_valued(segment: Segment, _run: Run) -> bool:
        fields = segment.fields
        return (field < len(fields) and fields[field] not in _NO_VALUE) is is_wanted

    return field_is_valued
