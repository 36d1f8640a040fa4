"""Reads the value of a composite: ``component$component`` (https://hl7.org/fhir/R4/search.html#composite)."""

from collections.abc import Callable
from datetime import datetime
from itertools import product
from typing import Any, Final
from zoneinfo import ZoneInfo

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.index.composites import HASHED, key_of, slots_of
from fhir_server.index.hashing import NO_SYSTEM, hash64
from fhir_server.search import values
from fhir_server.search.conditions import Combination, CompositeIs, TokenValue
from fhir_server.search.syntax import split_list

# `a,b$c` is one alternative of two; more of them than this are no search.
_MOST_COMBINATIONS: Final = 1_000
_ANY: Final = TokenValue(None, None)


def composite(
    parameter: SearchParameter, text: str, base_url: str, zone: ZoneInfo, now: datetime
) -> CompositeIs:
    """Return the condition ``parameter=text``; raises ValueError for a value that cannot be read."""
    components = parameter.component_parameters
    slots = slots_of([each.type for each in components])
    assert slots is not None  # noqa: S101 - the indexer takes no other
    found: list[Combination] = []
    for part in split_list(text):
        pieces = split_list(part, "$")
        if len(pieces) != len(components):
            codes = "$".join(each.code for each in components)
            raise ValueError(f"`{part}` is not {codes}")
        read = [
            _READERS[each.type](each, piece, base_url, zone, now)
            for each, piece in zip(components, pieces, strict=True)
        ]
        for combination in product(*read):
            if len(found) == _MOST_COMBINATIONS:
                raise ValueError(f"the value stands for more than {_MOST_COMBINATIONS} combinations")
            found.append(_combination(components, slots, combination))
    return CompositeIs(parameter.number, tuple(found))


def _combination(
    components: tuple[SearchParameter, ...], slots: tuple[int, ...], combination: tuple[Any, ...]
) -> Combination:
    hashes = [
        value.code_hash for value, each in zip(combination, components, strict=True) if each.type in HASHED
    ]
    known = [each for each in hashes if each is not None]
    first, *rest = (combination[at] if at >= 0 else _ANY for at in slots)
    return Combination(key_of(known) if len(known) == len(hashes) else None, first, *rest)


def _token(each: SearchParameter, text: str, *_: object) -> list[object]:
    return list(values.token(each, text).values)


def _reference(each: SearchParameter, text: str, base_url: str, *_: object) -> list[object]:
    return [TokenValue(target, None) for target in values.reference(each, text, "", base_url).targets]


def _uri(each: SearchParameter, text: str, *_: object) -> list[object]:
    return [TokenValue(hash64(value), NO_SYSTEM) for value in values.uri(each, text, "").values]


def _string(each: SearchParameter, text: str, *_: object) -> list[object]:
    return list(values.string(each, text, "").values)


def _date(each: SearchParameter, text: str, _: str, zone: ZoneInfo, now: datetime) -> list[object]:
    return list(values.date(each, text, zone, now).values)


def _number(each: SearchParameter, text: str, *_: object) -> list[object]:
    return list(values.number(each, text).values)


def _quantity(each: SearchParameter, text: str, *_: object) -> list[object]:
    return list(values.quantity(each, text).values)


_READERS: Final[dict[str, Callable[..., list[object]]]] = {
    "token": _token,
    "reference": _reference,
    "uri": _uri,
    "string": _string,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
