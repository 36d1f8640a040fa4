"""Reads the values of search parameters, one function for each parameter type.

https://hl7.org/fhir/R4/search.html#ptypes. Each takes the raw value of one
``name=value`` and returns the condition that it states; a ValueError says what
cannot be read.
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import ANY_RESOURCE, SearchParameter
from fhir_server.index.date_range import date_range
from fhir_server.index.hashing import NO_SYSTEM, hash32, hash64, param_id, reference_key
from fhir_server.index.normal_form import LONGEST, normal_form
from fhir_server.index.quantities import UCUM, canonical_amounts
from fhir_server.index.references import target_of
from fhir_server.index.rows import OPEN_END, OPEN_START
from fhir_server.index.strings import STRIDE, window_param
from fhir_server.index.tokens import of_type_key, without_punctuation
from fhir_server.index.ucum import unit_of
from fhir_server.search.conditions import (
    Amount,
    Canonical,
    DateIs,
    NearIs,
    NumberIs,
    QuantityIs,
    ReferenceIs,
    Span,
    StringIs,
    TokenIs,
    TokenValue,
    UriIs,
)
from fhir_server.search.syntax import split_list, split_prefix, unescape

# https://hl7.org/fhir/R4/datatypes.html#decimal, and the exponent that searches may use.
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
# "ap": 10 % of the value, of the distance to now for dates (https://hl7.org/fhir/R4/search.html#prefix).
_APPROXIMATION: Final = 10
_TELECOM: Final = frozenset({"phone", "telecom", "fax"})
_OF_TYPE_PARTS: Final = 3
# A walk through a city's centre.
_NEAR_METRES: Final = 5_000.0
# What people write for UCUM's international mile.
_LENGTHS: Final = {"mi": "[mi_i]", "miles": "[mi_i]", "mile": "[mi_i]"}


def token(parameter: SearchParameter, text: str) -> TokenIs:
    """Return the condition ``parameter=text`` of a token."""
    values: list[TokenValue] = []
    for part in split_list(text):
        values.append(_token_value(part))
        if parameter.code in _TELECOM and "|" not in part and "@" not in part:
            bare = without_punctuation(unescape(part))
            if bare:
                values.append(TokenValue(hash64(bare), None))
    return TokenIs(parameter.number, tuple(dict.fromkeys(values)))


def of_type(parameter: SearchParameter, text: str) -> TokenIs:
    """Return the condition ``parameter:of-type=system|code|value``; the system may be empty for any."""
    values = []
    for part in split_list(text):
        pieces = [unescape(piece) for piece in split_list(part, "|")]
        if len(pieces) != _OF_TYPE_PARTS or not (pieces[1] and pieces[2]):
            raise ValueError("the value is not system|code|value")
        values.append(TokenValue(of_type_key(pieces[1], pieces[2]), hash32(pieces[0]) if pieces[0] else None))
    return TokenIs(param_id(parameter.resource_type, f"{parameter.code}:of-type"), tuple(values))


def reference(parameter: SearchParameter, text: str, target_type: str, base_url: str) -> ReferenceIs:
    """Return the condition ``parameter=text`` of a reference; `target_type` is the modifier, "" for none."""
    targets: list[int] = []
    for part in split_list(text):
        literal = unescape(part)
        if _ID.fullmatch(literal):
            targets += (reference_key(each, literal) for each in target_types(parameter, target_type))
            continue
        target = target_of(literal, base_url)
        if target is None:
            raise ValueError(f"`{literal}` is neither an id nor a reference")
        if target_type and not (literal.startswith(f"{target_type}/") or f"/{target_type}/" in literal):
            raise ValueError(f"`{literal}` is not a reference to {target_type}")
        targets.append(target[0])
    return ReferenceIs(parameter.number, tuple(dict.fromkeys(targets)))


def reference_identifier(parameter: SearchParameter, text: str) -> TokenIs:
    """Return the condition ``parameter:identifier=system|value``."""
    values = tuple(_token_value(part) for part in split_list(text))
    return TokenIs(param_id(parameter.resource_type, f"{parameter.code}:identifier"), values)


def string(parameter: SearchParameter, text: str, modifier: str) -> StringIs:
    """Return the condition ``parameter=text`` of a string; `modifier` is "", "exact" or "contains"."""
    windows = window_param(parameter.resource_type, parameter.code)
    parts = [unescape(part) for part in split_list(text)]
    if modifier == "exact":
        return StringIs(parameter.number, windows, "exact", tuple(parts))
    values = tuple(normal_form(part) for part in parts)
    if not all(values):
        raise ValueError("the value is empty")
    if modifier == "contains":
        if any(len(value) > STRIDE for value in values):
            raise ValueError(
                f"the value is longer than {STRIDE} characters, the most that :contains looks for"
            )
        return StringIs(parameter.number, windows, "contains", values)
    return StringIs(parameter.number, windows, "start", tuple(value[:LONGEST] for value in values))


def dates(text: str, zone: ZoneInfo, now: datetime) -> tuple[Span, ...]:
    """Return what the dates of `text` compare with; "ap" is widened by a tenth of the distance to `now`."""
    return tuple(_span(unescape(part), zone, now) for part in split_list(text))


def date(parameter: SearchParameter, text: str, zone: ZoneInfo, now: datetime) -> DateIs:
    """Return the condition ``parameter=text`` of a date."""
    return DateIs(parameter.number, dates(text, zone, now))


def number(parameter: SearchParameter, text: str) -> NumberIs:
    """Return the condition ``parameter=text`` of a number."""
    return NumberIs(parameter.number, tuple(_amount(unescape(part)) for part in split_list(text)))


def quantity(parameter: SearchParameter, text: str) -> QuantityIs:
    """Return the condition ``parameter=number`` or ``parameter=number|system|code`` of a quantity."""
    values = []
    for part in split_list(text):
        pieces = [unescape(piece) for piece in split_list(part, "|")]
        if len(pieces) == 1:
            values.append(_amount(pieces[0]))
        elif len(pieces) == 3:  # noqa: PLR2004 - number, system, code
            unit = (hash32(pieces[1]) if pieces[1] else None, hash64(pieces[2])) if pieces[2] else None
            if unit is None and pieces[1]:
                raise ValueError("the value has a system without a code")
            code = pieces[2] if pieces[1] == UCUM else ""
            values.append(_with_canonical(_amount(pieces[0], unit), code))
        else:
            raise ValueError("the value is neither number nor number|system|code")
    return QuantityIs(parameter.number, tuple(values))


def near(parameter: SearchParameter, text: str) -> NearIs:
    """Return the condition ``near=latitude|longitude|distance|units`` of a Location.

    https://hl7.org/fhir/R4/location.html#positional-searching: kilometres when no units are given;
    what is near when no distance is given is for the server to say.
    """
    pieces = [unescape(piece) for piece in split_list(text, "|")]
    if not 2 <= len(pieces) <= 4:  # noqa: PLR2004 - of latitude, longitude, distance, units the last may be left out
        raise ValueError("the value is not latitude|longitude|distance|units")
    latitude, longitude = (_plain_number(piece) for piece in pieces[:2])
    if abs(latitude) > 90 or abs(longitude) > 180:  # noqa: PLR2004 - degrees of WGS 84
        raise ValueError(f"`{pieces[0]}|{pieces[1]}` is no position on Earth")
    units = pieces[3] if len(pieces) > 3 and pieces[3] else "km"  # noqa: PLR2004 - the fourth
    unit = unit_of(_LENGTHS.get(units, units))
    if unit is None or unit.canonical != "m":
        raise ValueError(f"`{units}` is not a unit of length (UCUM: km, m, [mi_i])")
    distance = pieces[2] if len(pieces) > 2 else ""  # noqa: PLR2004 - the third
    metres = float(unit.amount(_plain_number(distance))) if distance else _NEAR_METRES
    if metres < 0:
        raise ValueError(f"`{distance}` is less than nothing")
    return NearIs(parameter.number, float(latitude), float(longitude), metres)


def uri(parameter: SearchParameter, text: str, modifier: str) -> UriIs:
    """Return the condition ``parameter=text`` of a uri; `modifier` is "", "below" or "above".

    `:above` asks for the URI itself and for every URI that it lies below.
    """
    values = [unescape(part) for part in split_list(text)]
    if not all(values):
        raise ValueError("the value is empty")
    if modifier == "above":
        values = [each for value in values for each in _above(value)]
    return UriIs(parameter.number, tuple(dict.fromkeys(values)), modifier == "below")


def ids(text: str) -> tuple[str, ...]:
    """Return the logical ids of `text`."""
    values = tuple(unescape(part) for part in split_list(text))
    for value in values:
        if not _ID.fullmatch(value):
            raise ValueError(f"`{value}` is not a logical id")
    return values


def target_types(parameter: SearchParameter, target_type: str) -> tuple[str, ...]:
    """Return the types that a reference may lead to: the one that a modifier names, "" for none."""
    if target_type:
        return (target_type,)
    return R4_RESOURCE_TYPES if ANY_RESOURCE in parameter.targets else parameter.targets


def _token_value(text: str) -> TokenValue:
    pieces = split_list(text, "|")
    if len(pieces) == 1:
        code = unescape(pieces[0])
        if not code:
            raise ValueError("the value is empty")
        return TokenValue(hash64(code), None)
    # A bar inside the code is commonly sent unescaped; the first one separates.
    system, code = unescape(pieces[0]), unescape("|".join(pieces[1:]))
    if not system and not code:
        raise ValueError("the value is empty")
    return TokenValue(hash64(code) if code else None, hash32(system) if system else NO_SYSTEM)


def token_value(system: str, code: str) -> TokenValue:
    """Return the token of `code` in `system`; "" for `code` stands for any."""
    return TokenValue(hash64(code) if code else None, hash32(system))


def _plain_number(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"`{text}` is not a number")
    return Decimal(text)


def _with_canonical(amount: Amount, code: str) -> Amount:
    """Return `amount` with what it is in the canonical unit of the UCUM unit `code`."""
    found = canonical_amounts(code, (amount.value, amount.low, amount.high)) if code else None
    if found is None:
        return amount
    unit, (value, low, high) = found
    return replace(amount, canonical=Canonical(unit, value, low, high))


def _span(text: str, zone: ZoneInfo, now: datetime) -> Span:
    prefix, value = split_prefix(text)
    # An unencoded plus sign of an offset arrives as a space.
    low, high = date_range(value.replace(" ", "+"), zone)
    if prefix == "ap":
        margin = max(low - now, now - high, timedelta()) / _APPROXIMATION
        low = low - margin if low - OPEN_START > margin else OPEN_START
        high = high + margin if OPEN_END - high > margin else OPEN_END
    return Span(prefix, low, high)


def _amount(text: str, unit: tuple[int | None, int] | None = None) -> Amount:
    prefix, digits = split_prefix(text)
    if not _DECIMAL.fullmatch(digits):
        raise ValueError(f"`{text}` is not a number")
    value = Decimal(digits)
    margin = abs(value) / _APPROXIMATION if prefix == "ap" else _half_of_last_digit(value)
    return Amount(prefix, value, value - margin, value + margin, unit)


def _half_of_last_digit(value: Decimal) -> Decimal:
    """Return half a unit of the last digit written: 0.5 for 100, 0.005 for 5.40, 5 for 1.0e2.

    https://hl7.org/fhir/R4/search.html#number
    """
    exponent = value.as_tuple().exponent
    return Decimal(5).scaleb(int(exponent) - 1)


def _above(value: str) -> list[str]:
    """Return `value` and every prefix of it that ends before or after a slash or a colon."""
    found = [value]
    for at, letter in enumerate(value):
        if letter in "/:" and at:
            found += (value[:at], value[: at + 1])
    return found
