"""FHIR primitives from v2 text: string, markdown, code, uri, decimal, integers.

Each function takes decoded text and returns None when nothing is left of it. None of them translates codes.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

import re
from decimal import Decimal
from urllib.parse import quote

from hie.core.errors import DataTypeError
from hl7_gateway.er7.message import Repetition

# FHIR strings hold no control character but tab, CR and LF; what a sender sent there stays visible.
_CONTROL = dict.fromkeys((*(c for c in range(32) if c not in (9, 10, 13)), 0x7F), "\ufffd")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\Z")
_UNSAFE_IN_URI = re.compile(r"[\s\x00-\x1f\x7f]+")
# A surrogate has no UTF-8 form, so that no JSON can hold it.
_SURROGATE = re.compile("[\ud800-\udfff]")
_POSITIVE_INT_MAX = 2_147_483_647
# Any number of nine digits is below that.
_DIGITS_SURELY = 9


def string(text: str) -> str | None:
    """Return `text` as a FHIR string without blanks around it, None when it is blank."""
    text = text.strip()
    if not text or text == '""':
        return None
    return text if text.isprintable() else _visible(text)


def string_at(rep: Repetition, place: int) -> str | None:
    """Return the first sub-component of component `place` as `string` does, None when it is absent."""
    if place > len(rep):
        return None
    component = rep[place - 1]
    if not component:
        return None
    text = component[0]
    # Letters and digits alone need no care, and nothing is left of no text.
    return text if text.isalnum() else string(text) if text else None


def markdown(text: str) -> str | None:
    """Return `text` with leading blanks and line ends, without trailing blanks, as TX and FT want it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if not text or text == '""':
        return None
    return text if text.isprintable() else _visible(text)


def code(text: str) -> str | None:
    """Return `text` as a FHIR code: no blanks around it, single ones inside."""
    if text.isalnum():
        return text
    value = string(text)
    return value if value is None else " ".join(value.split())


def uri(text: str) -> str | None:
    """Return `text` as a FHIR uri; blanks in it are percent-encoded, since a uri has none."""
    value = string(text)
    if value is None:
        return None
    return _UNSAFE_IN_URI.sub(lambda blanks: quote(blanks[0]), value)


def decimal(text: str) -> Decimal | None:
    """Return the number `text` with the digits it was sent with, trailing zeros included.

    Raises DataTypeError for text that is no number.
    """
    if text.isdigit() and text.isascii():
        return Decimal(text)
    text = text.strip()
    if not text or text == '""':
        return None
    if not _NUMBER.match(text):
        raise DataTypeError(f"`{shown(text)}` is not a number (NM)")
    return Decimal(text)


def integer(text: str, *, at_least: int) -> int | None:
    """Return the whole number `text`; raises DataTypeError below `at_least` and past 2^31-1."""
    if (
        len(text) <= _DIGITS_SURELY
        and text.isdigit()
        and text.isascii()
        and (number := int(text)) >= at_least
    ):
        return number
    value = decimal(text)
    if value is None:
        return None
    if not at_least <= value <= _POSITIVE_INT_MAX or value != int(value):
        raise DataTypeError(f"`{shown(text)}` is not a whole number of {at_least} or more")
    return int(value)


def shown(text: str) -> str:
    """Return the beginning of `text` as an error message may quote it."""
    kept = 40
    return _visible(text if len(text) <= kept else text[:kept] + "…")


def _visible(text: str) -> str:
    text = text.translate(_CONTROL)
    return _SURROGATE.sub("\ufffd", text)
