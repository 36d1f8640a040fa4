"""Numbers and ranges in the text of a laboratory: comparators, full-width digits, arrows behind a number.

Nothing is guessed: a text that says more than a number ("1,200", "1:40", "5%") is no number here.

https://hl7.org/fhir/R4/datatypes.html#Quantity
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

from hie.core.fhir.json import JsonObject

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_COMPARED: Final = re.compile(rf"\s*(<=|>=|<|>|≤|≥|＜|＞|〈|〉)\s*([+-]?{_NUMBER})\s*\Z")
_PLAIN: Final = re.compile(r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*\Z")
_COMPARATORS: Final = {"≤": "<=", "≥": ">=", "＜": "<", "＞": ">", "〈": "<", "〉": ">"}
_FROM_TO: Final = re.compile(rf"\s*(-?{_NUMBER})\s*(?:--|-|–|—|~|～|－|至|to)\s*(-?{_NUMBER})\s*\Z")
_FLOORS: Final = frozenset({">", ">="})
_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９．＋－", "0123456789.+-")
_ARROWS: Final = re.compile(r"[0-9０-９]\s*(↑{1,2}|↓{1,2})\s*\Z")
# Digits with signs that are no letters: a unit may stand behind such a text.
_NUMERIC: Final = re.compile(r"(?=.*[0-9０-９])[0-9０-９\s.．,，:：;；/<>=≤≥＜＞〈〉~～\-–—－+＋()（）]+\Z")


def quantity(text: str) -> JsonObject | None:
    """Return value and comparator of a Quantity, None when `text` is not one number.

    >>> quantity("≤ 0.50"), quantity("５.２↑"), quantity("1:40")
    ({'value': Decimal('0.50'), 'comparator': '<='}, {'value': Decimal('5.2')}, None)
    """
    plain = _PLAIN.match(text)
    if plain is None and not text.isascii():
        # An arrow is an interpretation: `arrows`.
        if _ARROWS.search(text):
            text = text.rstrip("↑↓ \t")
        text = text.translate(_FULL_WIDTH)
        plain = _PLAIN.match(text)
    if plain is not None:
        return {"value": Decimal(plain[1])}
    compared = _COMPARED.match(text)
    if compared is None:
        return None
    return {"value": Decimal(compared[2]), "comparator": _COMPARATORS.get(compared[1], compared[1])}


def arrows(text: str) -> str:
    """Return the arrows behind the number in `text`, "" without any."""
    if text.isascii():
        return ""
    match = _ARROWS.search(text)
    return match[1] if match is not None else ""


def is_numeric(text: str) -> bool:
    """Whether `text` has digits and signs only, so that a unit can stand behind it: "3.5-5", "1:40"."""
    return _NUMERIC.match(text) is not None


@lru_cache(maxsize=4096)
def bounds(text: str) -> tuple[Decimal | None, Decimal | None]:
    """Return low and high of "3.5-5.5", "<5" and the like, None for what any other text does not say."""
    between = _FROM_TO.match(text)
    if between is not None:
        low, high = Decimal(between[1]), Decimal(between[2])
        if low < 0 and "--" in text:
            # "-3--2" may end at 2 or at -2.
            return None, None
        return (low, high) if low <= high else (None, None)
    compared = _COMPARED.match(text)
    if compared is None:
        return None, None
    value = Decimal(compared[2])
    return (value, None) if _COMPARATORS.get(compared[1], compared[1]) in _FLOORS else (None, value)
