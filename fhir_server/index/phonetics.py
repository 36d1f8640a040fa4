"""How names sound: the tokens of the search parameter `phonetic`.

R4 leaves the algorithm to the server (https://hl7.org/fhir/R4/patient.html#search, "using some kind of
phonetic matching algorithm"). Names in ideographs are compared by their pinyin without tones, so that
all ways to write a name that is heard alike are found; as in `sort_key`, a character is read as
pypinyin's dictionary reads it first. Names in letters are compared word by word by Soundex, as the
National Archives of the United States describe it (https://www.archives.gov/research/census/soundex);
a word in another script stands for itself.
"""

import re
from functools import lru_cache
from typing import Final

from pypinyin import Style, lazy_pinyin

from fhir_server.index.hashing import NO_SYSTEM, hash64
from fhir_server.index.normal_form import LONGEST, has_ideographs, normal_form
from fhir_server.index.rows import IndexRows
from fhir_server.index.strings import Texts
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json

CODE: Final = "phonetic"

_WORD: Final = re.compile(r"[^\W_]+")
_LATIN: Final = re.compile(r"[a-z]+")
_DIGITS: Final = {
    **dict.fromkeys("bfpv", "1"),
    **dict.fromkeys("cgjkqsxz", "2"),
    **dict.fromkeys("dt", "3"),
    "l": "4",
    **dict.fromkeys("mn", "5"),
    "r": "6",
}
# Letters that do not part two others of the same digit; vowels do.
_TRANSPARENT: Final = frozenset("hw")
_SOUNDEX_LENGTH: Final = 4
# Of the ideographs of a person's name; longer ones are names of places and institutions.
_LONGEST_NAME: Final = 4


def soundex(word: str) -> str:
    """Return the Soundex code of `word`, which is of the letters a to z.

    >>> soundex("washington"), soundex("tymczak"), soundex("pfister"), soundex("lee")
    ('W252', 'T522', 'P236', 'L000')
    """
    code, last = word[0].upper(), _DIGITS.get(word[0], "")
    for letter in word[1:]:
        if letter in _TRANSPARENT:
            continue
        digit = _DIGITS.get(letter, "")
        if digit and digit != last:
            code += digit
            if len(code) == _SOUNDEX_LENGTH:
                return code
        last = digit
    return code.ljust(_SOUNDEX_LENGTH, "0")


@lru_cache(maxsize=16_384)
def sounds_of(text: str) -> tuple[str, ...]:
    """Return how the words of a name sound; what is written in ideographs is one word.

    Of a person's name in ideographs its beginning stands alone too: senders do not always part it.

    >>> sounds_of("张小明"), sounds_of("Peter Müller")
    (('zhangxiaoming', 'zhang'), ('P360', 'M460'))
    """
    words = words_asked(text[:LONGEST])
    if words and has_ideographs(text):
        read = lazy_pinyin(words[0], style=Style.NORMAL)
        whole = "".join(read)
        return (whole, read[0]) if 1 < len(words[0]) <= _LONGEST_NAME else (whole,)
    return tuple(soundex(word) if _LATIN.fullmatch(word) else word for word in words)


@lru_cache(maxsize=16_384)
def alike(word: str) -> tuple[str, ...]:
    """Return what a name may sound like that was asked for by `word`, one word or a name in ideographs.

    Pinyin finds names in ideographs, and ideographs find names that are written in pinyin.
    """
    sound = sounds_of(word)[0]
    bare = normal_form(word)
    if has_ideographs(word):
        return (sound, soundex(sound)) if _LATIN.fullmatch(sound) else (sound,)
    return (sound, bare) if _LATIN.fullmatch(bare) else (sound,)


def words_asked(text: str) -> tuple[str, ...]:
    """Return the words of which each must sound alike: a name in ideographs is one."""
    words = _WORD.findall(normal_form(text))
    return ("".join(words),) if words and has_ideographs(text) else tuple(words)


def phonetic_emit(texts: Texts, params: tuple[int, ...]) -> Emit:
    """Return what adds the rows of a name: a token for each word and name that is heard."""

    def emit(value: Json, rows: IndexRows) -> None:
        for text in texts(value):
            for sound in sounds_of(text):
                code = hash64(sound)
                rows.codes[code] = sound
                for param in params:
                    rows.token.append((param, code, NO_SYSTEM))

    return emit
