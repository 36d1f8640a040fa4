"""What is left of a name, a number or an address for who may not see it whole; pure functions of text.

GB/T 35273-2020, 7.2: where personal information is shown on a screen it should be de-identified;
GB/T 37964-2019 calls the technique masking (a kind of suppression). Neither says how many signs to keep: the
numbers are settings of this exchange (`masking.yaml`).
"""

import re
from dataclasses import dataclass
from typing import Final

HIDDEN: Final = "*"
# GB 11643-1999: weights of the check digit of a resident ID number (ISO/IEC 7064, MOD 11-2).
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"
_RESIDENT_ID: Final = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)", re.ASCII)
# Mobile numbers of mainland China: eleven digits from 13 to 19, as people write them, also after +86.
_MOBILE: Final = re.compile(r"(?<!\d)1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)", re.ASCII)
_LETTER: Final = re.compile(r"\w", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Kept:
    """How many signs of a number stay readable; none unless at least `hidden` are hidden then."""

    first: int
    last: int
    hidden: int

    def of(self, text: str) -> str:
        """Return `text` with the others hidden; its length is told where something is kept."""
        if len(text) - self.first - self.last < self.hidden:
            return HIDDEN * self.hidden
        end = text[len(text) - self.last :]
        return text[: self.first] + HIDDEN * (len(text) - self.first - self.last) + end


def name(text: str) -> str:
    """Return a name with all but its first letter hidden.

    >>> name("欧阳小明"), name("Anna Lee"), name("李")
    ('欧***', 'A*** ***', '*')
    """
    # of one letter nothing would be hidden; what is hidden already stays
    if len(_LETTER.findall(text)) < 2 and HIDDEN not in text:  # noqa: PLR2004 - as said
        return _LETTER.sub(HIDDEN, text)
    first = _LETTER.search(text)
    at = first.end() if first else 0
    return text[:at] + _LETTER.sub(HIDDEN, text[at:])


def email(text: str) -> str:
    """Return an address of mail with its first sign and its host.

    >>> email("anna@mail.example")
    'a***@mail.example'
    """
    local, at, host = text.rpartition("@")
    return f"{local[:1]}{HIDDEN * 3}{at}{host}" if local else HIDDEN * 3


def is_resident_id(text: str) -> bool:
    """Say whether `text` is a resident ID number by its check digit (GB 11643-1999).

    >>> is_resident_id("11010519491231002x"), is_resident_id("110105194912310021")
    (True, False)
    """
    if _RESIDENT_ID.fullmatch(text) is None:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text, strict=False))
    return _CHECKS[total % 11] == text[-1].upper()


def without_resident_ids(text: str, kept: Kept) -> str:
    """Return `text` with every resident ID number in it masked."""
    return _RESIDENT_ID.sub(lambda found: kept.of(found[0]) if is_resident_id(found[0]) else found[0], text)


def without_mobile_numbers(text: str, kept: Kept) -> str:
    """Return `text` with every mobile number in it masked."""
    return _MOBILE.sub(lambda found: kept.of(found[0]), text)
