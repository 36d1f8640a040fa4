"""What a modifier makes of a parameter.

`:missing :exact :contains :text :in :above :below :of-type :identifier :[type]`, as
https://hl7.org/fhir/R4/search.html#modifiers defines them; `:not` and `:not-in` are the negations
of others. A modifier that is not supported is refused, as that section demands, never ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from fhir_server.definitions.search_parameters import SearchParameter, type_number
from fhir_server.index import phonetics
from fhir_server.index.hashing import hash64
from fhir_server.index.indexer import RESOURCE_COLUMNS
from fhir_server.search import composite, hierarchy, text, values
from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Condition,
    IdIs,
    LastUpdatedIs,
    Present,
    TokenIs,
    TokenValue,
)
from fhir_server.search.look_up import Code, LookUp
from fhir_server.search.syntax import split_list, unescape
from hie.core.access import Filters
from hie.core.errors import ForbiddenError, MalformedSearchError
from hie.core.masking import Asked, Mask

# `:missing` looks where the values of a type stand.
_TABLES: Final = {
    "token": "ix_token",
    "reference": "ix_reference",
    "string": "ix_string",
    "date": "ix_date",
    "number": "ix_number",
    "quantity": "ix_quantity",
    "uri": "ix_uri",
    "composite": "ix_composite",
    "special": "ix_number",
}
# More codes than this are no condition of a search any more.
_MOST_CODES: Final = 50_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What values are read with: the server's base URL and zone, and the time of the request.

    `filters` says what may be read (None: everything); `look_up` what is stored about value sets
    and hierarchies; `comparison` is that of `_filter`, "" outside it; `mask` what may not be searched by.
    """

    base_url: str
    zone: ZoneInfo
    now: datetime
    filters: Filters | None = None
    look_up: LookUp | None = None
    comparison: str = ""
    mask: Mask | None = None

    def check(self, parameter: SearchParameter, modifier: str = "", value: str | None = None) -> None:
        """Raise ForbiddenError if a search by `parameter`, or its order (no value), tells what is masked."""
        if self.mask is None:
            return
        own, code = parameter.resource_type, parameter.code
        for each in (parameter, *parameter.component_parameters):
            asked = Asked(own, each.code, each.type, each.expression, modifier or self.comparison, value)
            if self.mask.hides(asked):
                raise ForbiddenError(
                    f"What `{code}` of {own} reads is masked, so that it cannot be searched by",
                    expression=f"{own}.{code}",
                )


def negation(modifier: str, value: str) -> tuple[str, str, bool]:
    """Return the modifier and value of which ``modifier=value`` is the negation, and whether it is one.

    Raises ValueError for a `:missing` that is neither true nor false.
    """
    if modifier == "missing":
        if value not in {"true", "false"}:
            raise ValueError("the value is neither true nor false")
        return modifier, "false", value == "true"
    if modifier in {"not", "not-in"}:
        return modifier.removeprefix("not").removeprefix("-"), value, True
    return modifier, value, False


def condition_of(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    """Return the condition ``parameter:modifier=value``, for modifiers that do not negate.

    Raises ValueError for a value that cannot be read, MalformedSearchError for
    a modifier that the parameter does not have.
    """
    if modifier == "missing" and parameter.code in RESOURCE_COLUMNS:
        return AllOf(())  # every resource has them
    if parameter.code == "_id":
        if modifier:
            raise unsupported_modifier(parameter, modifier)
        return IdIs(values.ids(value))
    if parameter.code == "_lastUpdated":
        if modifier:
            raise unsupported_modifier(parameter, modifier)
        return LastUpdatedIs(values.dates(value, around.zone, around.now))
    if modifier == "missing" and parameter.code not in text.NAMES:
        heard = parameter.code == phonetics.CODE
        return Present(parameter.number, _TABLES["token" if heard else parameter.type])
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


def _token(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    if modifier == "of-type":
        return values.of_type(parameter, value)
    if modifier == "text":
        return text.text_of_code(parameter, value)
    if modifier in {"in", "below", "above"}:
        return _of_terminology(parameter, modifier, value, around)
    if modifier:
        raise unsupported_modifier(parameter, modifier)
    return values.token(parameter, value)


def _of_terminology(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    if around.look_up is None:
        raise unsupported_modifier(parameter, modifier)
    found: dict[Code, None] = {}
    for part in split_list(value):
        if modifier == "in":
            found |= dict.fromkeys(around.look_up.members(unescape(part)))
            continue
        system, _, code = unescape(part).partition("|")
        if not system or not code:
            raise ValueError(f"`:{modifier}` takes system|code")
        relatives = around.look_up.below if modifier == "below" else around.look_up.above
        found |= dict.fromkeys((system, each) for each in relatives(system, code))
    if len(found) > _MOST_CODES:
        raise ValueError(f"the value stands for more than {_MOST_CODES} codes")
    return TokenIs(parameter.number, tuple(_token_value(each) for each in found))


def _token_value(code: Code) -> TokenValue:
    return values.token_value(*code)


def _reference(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    if modifier == "identifier":
        return values.reference_identifier(parameter, value)
    if modifier == "text":
        return text.text_of_code(parameter, value)
    if modifier in {"below", "above"} and around.look_up is not None:
        return hierarchy.related(
            parameter, value, around.look_up, around.base_url, is_above=modifier == "above"
        )
    if modifier and not is_target(parameter, modifier):
        raise unsupported_modifier(parameter, modifier)
    return values.reference(parameter, value, modifier, around.base_url)


def _string(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    if parameter.code in text.NAMES:
        if modifier:
            raise unsupported_modifier(parameter, modifier)
        return text.full_text(parameter, value, around.look_up)
    if parameter.code == phonetics.CODE:
        if modifier:
            raise unsupported_modifier(parameter, modifier)
        return _heard(parameter, value)
    if modifier not in {"", "exact", "contains"}:
        raise unsupported_modifier(parameter, modifier)
    return values.string(parameter, value, modifier)


def _heard(parameter: SearchParameter, value: str) -> Condition:
    """Return the condition that each word of one of the values sounds like one of the name."""
    found: list[Condition] = []
    for part in split_list(value):
        words = phonetics.words_asked(unescape(part))
        if not words:
            raise ValueError("the value has no word")
        heard = tuple(
            TokenIs(parameter.number, tuple(TokenValue(hash64(each), None) for each in phonetics.alike(word)))
            for word in words
        )
        found.append(heard[0] if len(heard) == 1 else AllOf(heard))
    return found[0] if len(found) == 1 else AnyOf(tuple(found))


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


def _composite(parameter: SearchParameter, modifier: str, value: str, around: Surroundings) -> Condition:
    if modifier:
        raise unsupported_modifier(parameter, modifier)
    return composite.composite(parameter, value, around.base_url, around.zone, around.now)


def _special(parameter: SearchParameter, modifier: str, value: str, _: Surroundings) -> Condition:
    if modifier:
        raise unsupported_modifier(parameter, modifier)
    return values.near(parameter, value)


_READERS: Final[dict[str, Callable[[SearchParameter, str, str, Surroundings], Condition]]] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "composite": _composite,
    "special": _special,
}
