"""The key that Chinese texts are sorted by: their pinyin, syllable by syllable.

PostgreSQL's own Chinese order needs an ICU collation, which not every server
has. The reading of a character is the first that pypinyin's dictionary names;
of characters with several readings it may not be the one that a name has.
"""

from functools import lru_cache

from pypinyin import Style, pinyin

from fhir_server.index.normal_form import has_ideographs, normal_form

# Where two texts agree so far, their order is of no use to a reader.
_LONGEST = 16


def sort_key(text: str) -> str | None:
    """Return the key of a text with ideographs, None for any other, which is sorted by its normal form.

    >>> sort_key("张三"), sort_key("Zhang")
    ('zhang1 张 san1 三', None)
    """
    return _key(text[:_LONGEST]) if has_ideographs(text) else None


@lru_cache(maxsize=16_384)
def _key(text: str) -> str:
    return " ".join(_reading(letter) for letter in normal_form(text))


@lru_cache(maxsize=16_384)
def _reading(letter: str) -> str:
    if not has_ideographs(letter):
        return letter
    return f"{pinyin(letter, style=Style.TONE3, neutral_tone_with_five=True)[0][0]} {letter}"
