"""What a modifier makes of a parameter.

`:missing :not :exact :contains :of-type :identifier :above :below :[type]`, as
https://hl7.org/fhir/R4/search.html#modifiers defines them. A modifier
that is not supported is refused, as that section demands, never ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from fhir_server.definitions.search_parameters import SearchParameter, type_number
from fhir_server.search import values
from fhir_server.search.conditions import Condition, IdIs, LastUpdatedIs, Not, Present
from hie.core.errors import MalformedSearchError

# `:missing` looks where the values of a type stand.
_TABLES: Final = {
    "token": "ix_token",
    "reference": "ix_reference",
    "string": "ix_string",
    "date": "ix_date",
    "number": "ix_number",
    "quantity": "ix_quantity",
    "uri": "ix_uri",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What values are read with: the server's base URL and zone, and the time of the request."""

    base_url: str
    zone: ZoneInfo
    now: datetime


def condition_of(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    """Return the condition ``parameter:modifier=value``.

    Raises ValueError for a value that cannot be read, MalformedSearchError for
    a modifier that the parameter does not have.
    """
    if parameter.code == "_id":
        return _id(parameter, modifier, value)
    if parameter.code == "_lastUpdated":
        if modifier:
            raise unsupported_modifier(parameter, modifier)
        return LastUpdatedIs(values.dates(value, around.zone, around.now))
    if modifier == "missing":
        return _missing(parameter, value)
    return _READERS[parameter.type](parameter, modifier, value, around)


def unsupported_modifier(parameter: SearchParameter, modifier: str) -> MalformedSearchError:
    """Return the error about a modifier that `parameter` does not have here."""
    return MalformedSearchError(
        f"Modifier `:{modifier}` is not supported for search parameter"
        f" `{parameter.code}` of {parameter.resource_type}, which is of type {parameter.type}",
        expression=f"{parameter.resource_type}.{parameter.code}:{modifier}",
    )


def is_target(parameter: SearchParameter, resource_type: str) -> bool:
    """Return whether `resource_type` is a type that `parameter` may refer to."""
    return type_number(resource_type) is not None and parameter.may_target(resource_type)


def _id(parameter: SearchParameter, modifier: str, value: str) -> Condition:
    if modifier not in {"", "not"}:
        raise unsupported_modifier(parameter, modifier)
    condition = IdIs(values.ids(value))
    return Not(condition) if modifier else condition


def _missing(parameter: SearchParameter, value: str) -> Condition:
    if value not in {"true", "false"}:
        raise ValueError("the value is neither true nor false")
    present = Present(parameter.number, _TABLES[parameter.type])
    return Not(present) if value == "true" else present


def _token(parameter: SearchParameter, modifier: str, value: str, _: Surroundings) -> Condition:
    if modifier == "of-type":
        return values.of_type(parameter, value)
    if modifier not in {"", "not"}:
        raise unsupported_modifier(parameter, modifier)
    condition = values.token(parameter, value)
    return Not(condition) if modifier else condition


def _reference(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    if modifier == "identifier":
        return values.reference_identifier(parameter, value)
    if modifier and not is_target(parameter, modifier):
        raise unsupported_modifier(parameter, modifier)
    return values.reference(parameter, value, modifier, around.base_url)


def _string(parameter: SearchParameter, modifier: str, value: str, _: Surroundings) -> Condition:
    if modifier not in {"", "exact", "contains"}:
        raise unsupported_modifier(parameter, modifier)
    return values.string(parameter, value, modifier)


def _uri(parameter: SearchParameter, modifier: str, value: str, _: Surroundings) -> Condition:
    if modifier not in {"", "below", "above"}:
        raise unsupported_modifier(parameter, modifier)
    return values.uri(parameter, value, modifier)


def _date(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    if modifier:
        raise unsupported_modifier(parameter, modifier)
    return values.date(parameter, value, around.zone, around.now)


def _number(parameter: SearchParameter, modifier: str, value: str, _: Surroundings) -> Condition:
    if modifier:
        raise unsupported_modifier(parameter, modifier)
    return values.number(parameter, value)


def _quantity(parameter: SearchParameter, modifier: str, value: str, _: Surroundings) -> Condition:
    if modifier:
        raise unsupported_modifier(parameter, modifier)
    return values.quantity(parameter, value)


_READERS: Final[dict[str, Callable[[SearchParameter, str, str, Surroundings], Condition]]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
