"""The comparisons of `_filter`: what "eq", "co", "ss" mean for a parameter of each type.

https://hl7.org/fhir/R4/search_filter.html. "An item in the set", as that page
says, compares: ``ne`` finds a resource that has another value beside an equal one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, cast

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.index import phonetics
from fhir_server.search import values
from fhir_server.search.conditions import (
    Condition,
    DateIs,
    IdIs,
    LastUpdatedIs,
    Not,
    Other,
    Span,
    StringIs,
)
from fhir_server.search.modifiers import Surroundings, condition_of
from fhir_server.search.syntax import escape
from fhir_server.search.text import NAMES

COMPARISONS: Final = (
    *("eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb"),
    *("pr", "po", "ss", "sb", "in", "ni", "re"),
)
_ORDERED: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "ap", "sa", "eb"})
_MODES: Final[dict[str, Literal["equal", "contains", "start", "end"]]] = {
    "eq": "equal",
    "ne": "equal",
    "co": "contains",
    "sw": "start",
    "ew": "end",
}
_MODIFIERS: Final = {"ss": "below", "sb": "above", "in": "in", "ni": "in"}


def compared(parameter: SearchParameter, comparison: str, value: str, around: Surroundings) -> Condition:
    """Return the condition ``parameter comparison value``; raises ValueError where it has no meaning.

    "ni" and "pr false" are read as what they negate.
    """
    plain = replace(around, comparison="")
    if comparison == "pr":
        if value != "true":
            raise ValueError("`pr` takes true or false")
        return condition_of(parameter, "missing", "false", plain)
    found = _READERS[parameter.type](parameter, comparison, value, plain)
    if found is None:
        raise ValueError(f"`{comparison}` does not compare values of type {parameter.type}")
    return found


def _ordered(
    parameter: SearchParameter, comparison: str, value: str, around: Surroundings
) -> Condition | None:
    """Compare numbers, quantities and dates, which have prefixes."""
    if comparison not in _ORDERED:
        return None
    return condition_of(parameter, "", comparison + escape(value, keep="|"), around)


def _date(parameter: SearchParameter, comparison: str, value: str, around: Surroundings) -> Condition | None:
    if comparison != "po":
        return _ordered(parameter, comparison, value, around)
    # The recommended "ap" without its margin: the spans have an instant in common.
    (span,) = values.dates(f"eq{escape(value)}", around.zone, around.now)
    overlap = (Span("ap", span.low, span.high),)
    if parameter.code == "_lastUpdated":
        return LastUpdatedIs(overlap)
    return DateIs(parameter.number, overlap)


def _string(
    parameter: SearchParameter, comparison: str, value: str, around: Surroundings
) -> Condition | None:
    if parameter.code in NAMES:
        if comparison != "co":
            raise ValueError(f"`{parameter.code}` is compared by `co`: all words are in the text")
        return condition_of(parameter, "", escape(value), around)
    if parameter.code == phonetics.CODE:
        if comparison != "eq":
            raise ValueError(f"`{parameter.code}` is compared by `eq`: a name sounds alike")
        return condition_of(parameter, "", escape(value), around)
    mode = _MODES.get(comparison)
    if mode is None:
        return None
    condition = condition_of(parameter, "contains" if mode == "contains" else "", escape(value), around)
    if mode in {"equal", "end"}:
        condition = replace(cast("StringIs", condition), mode=mode)
    return Other(cast("StringIs", condition)) if comparison == "ne" else condition


def _token(parameter: SearchParameter, comparison: str, value: str, around: Surroundings) -> Condition | None:
    if comparison in _MODIFIERS:
        return condition_of(parameter, _MODIFIERS[comparison], escape(value, keep="|"), around)
    if comparison in {"co", "sw", "ew"}:
        raise ValueError(f"`{comparison}` does not compare codes; they are found whole")
    return _same_or_other(parameter, comparison, value, around)


def _reference(
    parameter: SearchParameter, comparison: str, value: str, around: Surroundings
) -> Condition | None:
    same = {"re": "eq"}.get(comparison, comparison)
    return _same_or_other(parameter, same, value, around)


def _uri(parameter: SearchParameter, comparison: str, value: str, around: Surroundings) -> Condition | None:
    if comparison in {"sw", "ss", "sb"}:
        modifier = "above" if comparison == "sb" else "below"
        return condition_of(parameter, modifier, escape(value, keep="|"), around)
    return _same_or_other(parameter, {"re": "eq"}.get(comparison, comparison), value, around)


def _same_or_other(
    parameter: SearchParameter, comparison: str, value: str, around: Surroundings
) -> Condition | None:
    if comparison not in {"eq", "ne"}:
        return None
    condition = condition_of(parameter, "", escape(value, keep="|"), around)
    if comparison == "eq":
        return condition
    if isinstance(condition, IdIs):
        return Not(condition)
    return Other(condition)  # type: ignore[arg-type]  # without modifier all these are conditions on rows


def _special(
    parameter: SearchParameter, comparison: str, value: str, around: Surroundings
) -> Condition | None:
    if comparison not in {"eq", "co"}:
        return None
    return condition_of(parameter, "", value, around)


_READERS: Final[dict[str, Callable[[SearchParameter, str, str, Surroundings], Condition | None]]] = {
    "number": _ordered,
    "quantity": _ordered,
    "date": _date,
    "string": _string,
    "token": _token,
    "reference": _reference,
    "uri": _uri,
    "composite": _special,
    "special": _special,
}
