"""The form in which strings are compared: without case, accents and width.

String searches are insensitive to case and accents
(https://hl7.org/fhir/R4/search.html#string). NFKC makes full-width letters and
digits, which Chinese input methods produce, equal to the narrow ones.
"""

import unicodedata
from functools import lru_cache
from typing import Final

# The longest text that an index entry holds: four bytes a character stay well
# below the 2,704 bytes that a PostgreSQL B-tree entry may have.
LONGEST: Final = 200


def normal_form(text: str) -> str:
    """Return `text` in the form that `ix_string.norm` holds, not cut.

    >>> normal_form("  Zoë   MÜLLER ")
    'zoe muller'
    """
    # What is longer seldom comes again, and thousands of narratives are not to be kept in memory.
    return _remembered(text) if len(text) <= LONGEST else _normal_form(text)


@lru_cache(maxsize=16_384)
def _remembered(text: str) -> str:
    return _normal_form(text)


def _normal_form(text: str) -> str:
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(each for each in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(each))
    return " ".join(unicodedata.normalize("NFKC", bare).split())


def has_ideographs(text: str) -> bool:
    """Return whether `text` has a CJK ideograph (https://www.unicode.org/charts/: all blocks of them)."""
    return not text.isascii() and any(
        "\u3400" <= letter <= "\u9fff" or "\uf900" <= letter <= "\ufaff" or letter >= "\U00020000"
        for letter in text
    )
