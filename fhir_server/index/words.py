"""The words of a text for `_text` and `_content` (https://hl7.org/fhir/R4/search.html#content).

Words are runs of letters and digits in normal form. Chinese has no spaces
between words: of a run of ideographs every character is a word, for searches of
one character, and every pair of neighbours, which tells 糖尿 from 尿糖 without
a dictionary.
"""

import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from fhir_server.index.normal_form import normal_form
from hie.core.fhir.json import Json

NAMES: Final = ("_text", "_content")
# PostgreSQL takes lexemes of 2,046 bytes; nobody types a word of 60 letters.
_LONGEST: Final = 60
# What a text of a megabyte begins with has to do: a tsvector holds 1,048,575 bytes of lexemes
# (https://www.postgresql.org/docs/current/textsearch-limitations.html).
_MOST_WORDS: Final = 10_000
_MOST_BYTES: Final = 1_000_000
# Texts up to this length come again and again: names of codes, departments, places.
_SHORT: Final = 64
_IDEOGRAPH: Final = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN: Final = re.compile(rf"(?P<ideographs>[{_IDEOGRAPH}]+)|(?:(?![{_IDEOGRAPH}])[^\W_])+")
_TAG: Final = re.compile(r"<[^>]*>")
_ASCII_GAPS: Final = {number: " " for number in range(128) if not chr(number).isalnum()}
# Elements whose text nobody reads: addresses of things, binary content, and what the server adds to meta.
_UNREAD: Final = frozenset(
    {"data", "hash", "lastUpdated", "reference", "resourceType", "system", "url", "versionId"}
)


def words_of(text: str) -> list[str]:
    """Return the words of `text` in order, repeated as they are.

    >>> words_of("2型糖尿病 (Type 2)")
    ['2', '型', '糖', '尿', '病', '型糖', '糖尿', '尿病', 'type', '2']
    """
    if text.isascii():
        return [word[:_LONGEST] for word in text.lower().translate(_ASCII_GAPS).split()]
    return list(_of_short(text)) if len(text) <= _SHORT else _of_any(text)


def words_in(code: str, resource: Json) -> dict[str, None]:
    """Return the words that `_text` or `_content`, which `code` names, finds in `resource`, each once."""
    plain: list[str] = []
    found: dict[str, None] = {}
    for text in _narrative(resource) if code == "_text" else _texts(resource):
        if text.isascii():
            plain.append(text)
        else:
            found |= dict.fromkeys(words_of(text))
    found |= dict.fromkeys(words_of(" ".join(plain)))
    return _beginning(found) if len(found) * 4 * _LONGEST > _MOST_BYTES else found


def lexeme(param: int, word: str) -> str:
    """Return `word` as it stands in the index: of one parameter, so that no other's rows are read."""
    return f"{param:x}:{word}"


def vector(param: int, words: Iterable[str]) -> str:
    """Return `words` of the parameter `param` as PostgreSQL writes a tsvector."""
    return " ".join([f"'{param:x}:{word}'" for word in words])


@lru_cache(maxsize=16_384)
def _of_short(text: str) -> tuple[str, ...]:
    return tuple(_of_any(text))


def _of_any(text: str) -> list[str]:
    found: list[str] = []
    for match in _RUN.finditer(normal_form(text)):
        run = match["ideographs"]
        if run is None:
            found.append(match[0][:_LONGEST])
        else:
            found += run
            found += (run[at : at + 2] for at in range(len(run) - 1))
    return found


def _beginning(words: Iterable[str]) -> dict[str, None]:
    """Return as many of `words` as one row of the index holds."""
    kept: dict[str, None] = {}
    size = 0
    for word in words:
        size += len(lexeme(0x7FFFFFFF, word).encode())
        if size > _MOST_BYTES or len(kept) == _MOST_WORDS:
            break
        kept[word] = None
    return kept


def _narrative(resource: Json) -> Iterator[str]:
    text = resource.get("text") if type(resource) is dict else None
    division = text.get("div") if type(text) is dict else None
    if type(division) is str:
        yield html.unescape(_TAG.sub(" ", division))


def _texts(value: Json) -> Iterator[str]:
    stack = [value]
    while stack:
        each = stack.pop()
        if type(each) is dict:
            for name, below in each.items():
                if type(below) is str:
                    if name == "div":
                        yield html.unescape(_TAG.sub(" ", below))
                    elif name not in _UNREAD:
                        yield below
                elif name not in _UNREAD:
                    stack.append(below)
        elif type(each) is list:
            stack += each
        elif type(each) is str:
            yield each
