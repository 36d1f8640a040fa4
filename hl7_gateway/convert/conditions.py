"""The conditions that map files name: `when` asks about a segment, `where` about one repetition of a field.

A map names a condition and never contains one. Names follow the IG's own wording of its conditions (`IF
PID-29 NOT VALUED` is `not_valued_PID-29`); those that only ask whether a field is valued need no function
of their own: `valued_PV1-43`, `not_valued_PV1-45`.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

from hie.core.errors import ConfigurationError
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import NULL, Repetition, Segment

Condition = Callable[[Segment, Run], bool]
Where = Callable[[Repetition], bool]


class Need(NamedTuple):
    """A field without which a condition cannot hold, and the texts of which it must be one, if any."""

    field: int
    among: tuple[str, ...] = ()


_conditions: dict[str, Condition] = {}
_wheres: dict[str, Where] = {}
_needs: dict[str, Need] = {}

_NO_VALUE = frozenset({"", NULL})
_VALUED = re.compile(r"(not_)?valued_([A-Z][A-Z0-9]{2})-([0-9]+)(?:\.([0-9]+))?")


def named_condition(function: Condition) -> Condition:
    """Register a condition under its function's name."""
    _conditions[function.__name__] = function
    return function


def condition_on(field: int, among: Iterable[str] = ()) -> Callable[[Condition], Condition]:
    """Register a condition under its function's name that cannot hold unless `field` is filled.

    `among` are the undecoded texts of which the field must be one, where they are known.
    """

    def register(function: Condition) -> Condition:
        _needs[function.__name__] = Need(field, tuple(sorted(among)))
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


def need_of(name: str) -> Need | None:
    """Return what the condition called `name` cannot hold without, None if that is not said."""
    return _needs.get(name)


def valued_field(name: str) -> tuple[int, bool] | None:
    """Return the field about which the condition called `name` asks no more than whether it is valued.

    With it stands whether it shall be; None for any other condition.
    """
    valued = _VALUED.fullmatch(name) if name not in _conditions else None
    return None if valued is None or valued[4] else (int(valued[3]), not valued[1])


def where_condition(name: str) -> Where:
    """Return the condition on a repetition called `name`; raises ConfigurationError when there is none."""
    try:
        return _wheres[name]
    except KeyError:
        raise ConfigurationError(f"There is no condition on a repetition `{name}`") from None


@cache
def _valued(field: int, component: int, *, is_wanted: bool) -> Condition:
    if component:
        return lambda segment, _run: bool(segment.first(field, component)) is is_wanted

    def field_is_valued(segment: Segment, _run: Run) -> bool:
        fields = segment.fields
        return (field < len(fields) and fields[field] not in _NO_VALUE) is is_wanted

    return field_is_valued
