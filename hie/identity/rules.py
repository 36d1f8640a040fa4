"""The rules of signing in, without database or clock: which passwords are refused, how long to wait.

Sources: NIST SP 800-63B, 5.1.1.2 (memorized secrets) and 5.2.2 (rate limiting),
https://pages.nist.gov/800-63-3/sp800-63b.html; GB/T 22239-2019, 8.1.4.1 (identity authentication of
level 3: complexity, handling of failures, two factors).
"""

import unicodedata
from collections.abc import Collection, Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Final

from hie.core.access import Role

# 5.2.2 lets a claimant wait "from 30 seconds up to an hour", longer as the failures grow.
FREE_FAILURES: Final = 5
_FIRST_WAIT: Final = timedelta(seconds=30)
_LONGEST_WAIT: Final = timedelta(hours=1)
# After the hour is reached there is nothing left to double.
_DOUBLINGS: Final = 7

# 5.1.1.2: at least 64 characters must be taken; what is longer only costs time to hash.
LONGEST_PASSWORD: Final = 256
# GB/T 22239-2019, 8.1.4.1 a) asks for complexity without saying which; 800-63B, which advises against
# composition rules, is content with length. So a short password needs three kinds of characters, a long
# one (a sentence) none.
_LONG_PASSWORD: Final = 20
_KINDS: Final = 3
# 5.1.1.2: "repetitive or sequential characters (e.g. 'aaaaaa', '1234abcd')".
_RUN: Final = 4
_FEWEST_DIFFERENT: Final = 5
# 5.1.1.2: "context-specific words, such as the name of the service, the username".
_SERVICE_WORDS: Final = ("hie", "password", "health", "hospital")
_SHORTEST_WORD: Final = 3

# 三权分立: one person administers, another decides who may see what, a third sees what both did.
ADMINISTRATORS: Final = frozenset({Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_OFFICER, Role.AUDITOR})


def wait_after(failures: int) -> timedelta:
    """Return how long after the last of `failures` in a row the next attempt is looked at.

    >>> wait_after(4), wait_after(5), wait_after(7), wait_after(1000)
    (datetime.timedelta(0), datetime.timedelta(seconds=30), datetime.timedelta(seconds=120), \
datetime.timedelta(seconds=3600))
    """
    if failures < FREE_FAILURES:
        return timedelta(0)
    doublings: int = min(failures - FREE_FAILURES, _DOUBLINGS)
    return min(_FIRST_WAIT * (1 << doublings), _LONGEST_WAIT)


def normal_password(password: str) -> str:
    """Return the password as it is hashed: 800-63B, 5.1.1.2, wants NFKC, so that keyboards do not matter."""
    return unicodedata.normalize("NFKC", password)


def password_fault(
    password: str, *, shortest: int, words: Iterable[str] = (), blocked: Collection[str] = ()
) -> str | None:
    """Return why `password` may not be chosen, None where it may.

    `words` are those that say too much of this account (its names), `blocked` are passwords that are
    known to be common.
    """
    text = normal_password(password)
    folded = text.casefold()
    rest = folded
    for word in _SERVICE_WORDS:
        rest = rest.replace(word, "")
    faults = (
        (len(text) < shortest, f"A password has at least {shortest} characters"),
        (len(text) > LONGEST_PASSWORD, f"A password has at most {LONGEST_PASSWORD} characters"),
        (folded in blocked or text in blocked, "The password is known to be a common one"),
        (
            len(set(folded)) < _FEWEST_DIFFERENT or _longest_run(folded) * 2 >= len(folded),
            "The password repeats characters or counts them up or down",
        ),
        (
            any(len(word) >= _SHORTEST_WORD and word.casefold() in folded for word in words),
            "The password holds the name of the account",
        ),
        (len(rest) * 2 < len(folded), "The password is little more than a word that anybody would try"),
        (
            len(text) < _LONG_PASSWORD and _kinds(text) < _KINDS,
            f"A password of fewer than {_LONG_PASSWORD} signs mixes {_KINDS} of a, A, 1 and others",
        ),
    )
    return next((sentence for is_so, sentence in faults if is_so), None)


def role_fault(roles: Collection[Role]) -> str | None:
    """Return why one account may not hold all of `roles`, None where it may."""
    both = sorted(ADMINISTRATORS.intersection(roles))
    return f"One account cannot be {' and '.join(both)}" if len(both) > 1 else None


def _longest_run(text: str) -> int:
    """Return the length of the longest part that repeats one character or counts by one, from _RUN on."""
    longest = 0
    for step in (-1, 0, 1):
        length = 1
        for before, after in pairwise(text):
            length = length + 1 if ord(after) - ord(before) == step else 1
            longest = max(longest, length)
    return longest if longest >= _RUN else 0


def _kinds(text: str) -> int:
    others = any(not sign.isdecimal() and not sign.islower() and not sign.isupper() for sign in text)
    return (
        any(sign.islower() for sign in text)
        + any(sign.isupper() for sign in text)
        + any(sign.isdecimal() for sign in text)
        + others
    )
