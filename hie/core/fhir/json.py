"""JSON text to plain dictionaries and back, without changing a decimal.

FHIR keeps the precision of a decimal as written: ``1.10`` is not ``1.1``
(https://hl7.org/fhir/R4/json.html#decimal). orjson reads numbers as binary
floats, which print back most decimals exactly but drop trailing zeros and
digits past the 15th. Text that holds such a number (found by a scan of the
bytes) takes the slower reader, which carries exactly those numbers as
``decimal.Decimal``; all other text takes orjson.
"""

import json
import re
from decimal import Decimal
from typing import Any

import orjson

from hie.core.errors import MalformedJSONError

Json = Any
JsonObject = dict[str, Any]

# Marks of a number that a float might not print back: a fraction that ends in zero
# or is long or small; more than 15 digits, or an exponent, as a member's value (FHIR
# has no arrays of decimals). A mark inside a string only costs the slower reader.
# Two scans with literal beginnings take 4 µs a resource; one exact pattern took 32.
_FRACTION = re.compile(rb"\.(?:\d+0(?!\d)|0000|\d{12})")
_LONG = re.compile(rb":\s*-?\d(?:[\d.]{15}|[\d.]*[eE])")

# Every name of an object ends like this; so may some text in a string, which costs a second look.
_NAME = re.compile(rb'"\s*:')
# Twelve characters of a number may stand for gigabytes of digits; no double has such an exponent.
_LARGEST_EXPONENT = 400
_CONTAINERS = frozenset({dict, list})


def loads(text: bytes | str, *, has_unique_names: bool = True) -> Json:
    """Return the value of JSON `text`.

    Numbers come as int, float, or Decimal where those would not print back
    the same digits. Raises MalformedJSONError with line and column, also for
    NaN, Infinity, lone surrogates and exponents far beyond a double's. Where the
    text comes from outside, `has_unique_names` is False: then a name given twice
    in one object, which FHIR forbids, is an error too and not the last one's
    silent win.
    """
    raw = text.encode() if isinstance(text, str) else bytes(text)
    try:
        value = orjson.loads(raw)
        if not has_unique_names and len(_NAME.findall(raw)) != _count_names(value):
            json.loads(raw, object_pairs_hook=_unique)
        if _FRACTION.search(raw) is None and _LONG.search(raw) is None:
            return value
        return json.loads(raw, parse_float=_faithful, parse_int=_whole)
    except orjson.JSONDecodeError as error:
        raise MalformedJSONError(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise MalformedJSONError("The body is nested too deeply") from error


def dumps(value: Json) -> bytes:
    """Return compact UTF-8 JSON; Decimals keep their digits."""
    return orjson.dumps(value, default=_fragment)


def dumps_pretty(value: Json) -> bytes:
    """Return JSON indented by two spaces; Decimals keep their digits."""
    return orjson.dumps(value, default=_fragment, option=orjson.OPT_INDENT_2)


def _count_names(value: Json) -> int:
    if isinstance(value, dict):
        return len(value) + sum(
            _count_names(inner) for inner in value.values() if inner.__class__ in _CONTAINERS
        )
    if isinstance(value, list):
        return sum(_count_names(inner) for inner in value if inner.__class__ in _CONTAINERS)
    return 0


def _unique(pairs: list[tuple[str, Json]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedJSONError(f"The name `{twice}` stands twice in one object")
    return found


def _faithful(digits: str) -> float | Decimal:
    number = float(digits)
    if repr(number) == digits:
        return number
    exact = Decimal(digits)
    exponent = exact.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _LARGEST_EXPONENT + len(digits):
        raise MalformedJSONError(f"The body holds the number `{digits[:40]}`, whose exponent is too large")
    return exact


def _whole(digits: str) -> int | Decimal:
    number = int(digits)
    return number if -(2**63) <= number < 2**63 else Decimal(digits)  # orjson prints 64 bits


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        # positional, as people write it, unless that would invent digits (1E+3 is not 1000)
        exponent = value.as_tuple().exponent
        is_exact = isinstance(exponent, int) and exponent <= 0
        return orjson.Fragment(f"{value:f}" if is_exact else str(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")
