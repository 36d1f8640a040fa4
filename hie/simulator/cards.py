"""Hospital cards: every institution numbers its own, each in its own format and with its own check digit.

A card number is a function of institution and person, one to one at each
institution, so cards need not be stored to be found again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from hie.simulator.institutions import Institution
from hie.simulator.seeding import stream

_SPACE = 10**7
"""Card bodies have seven scrambled digits: more than the most people a city can have."""


def luhn(body: str) -> str:
    """Return the check digit of ISO/IEC 7812-1 annex B ("Luhn").

    >>> luhn("7992739871")
    '3'
    """
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - sum of the digits of a two-digit product
    return str(-total % 10)


def mod_11_10(body: str) -> str:
    """Return the check digit of ISO/IEC 7064 MOD 11,10 (the hybrid system).

    >>> mod_11_10("0794")
    '5'
    """
    check = 10
    for digit in body:
        check = ((check + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - check) % 10)


def _none(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class CardFormat:
    """How an institution writes a card number.

    Prefix, width of the body, check digit, and after which digit a hyphen stands (0: none).
    """

    prefix: str
    width: int
    check: Callable[[str], str]
    hyphen_after: int = 0

    def write(self, body: int) -> str:
        """Return the number printed on the card."""
        digits = f"{body:0{self.width}d}"
        number = f"{digits}{self.check(digits)}"
        if self.hyphen_after:
            number = f"{number[: self.hyphen_after]}-{number[self.hyphen_after :]}"
        return self.prefix + number


_FORMATS = (
    CardFormat("", 10, luhn),
    CardFormat("M", 7, _none),
    CardFormat("", 8, _none),
    CardFormat("ZY", 8, mod_11_10),
    CardFormat("", 9, mod_11_10, hyphen_after=4),
    CardFormat("yk", 7, luhn),
    CardFormat("00", 8, _none),
    CardFormat("JZ/", 8, luhn),
    CardFormat("4101", 8, luhn),
    CardFormat("P&", 7, _none),
    CardFormat("A", 7, mod_11_10, hyphen_after=7),
)
"""`/`, `&` and lower case on purpose: a card number is opaque, and `&` must be escaped in ER7."""


class CardIssuer:
    """The card office of one institution."""

    def __init__(self, seed: int, institution: Institution) -> None:
        """Draw the numbering of this institution."""
        self.format = _FORMATS[institution.index % len(_FORMATS)]
        draws = stream(seed, "cards", institution.code)
        multiplier = draws.randrange(_SPACE // 3, _SPACE)
        while math.gcd(multiplier, _SPACE) != 1:
            multiplier += 1
        self._multiplier = multiplier
        self._offset = draws.randrange(_SPACE)

    def number(self, person: int) -> str:
        """Return the card number of the person of this index; different people, different numbers."""
        return self.format.write((person * self._multiplier + self._offset) % _SPACE)
