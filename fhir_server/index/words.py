"""The words of a text for `_text` and `_content` (https://hl7.org/fhir/R4/search.html#content).

Words are runs of letters and digits in normal form. Chinese has no spaces
between words: of a run of ideographs every character is a word, for searches of
one character, and every pair of neighbours, which tells 糖尿 from 尿糖 without
a dictionary.
"""

import html
import re
from collections.abc import Iterator
from typing import Final

from fhir_server.index.normal_form import normal_form
from fhir_server.index.rows import IndexRows
from fhir_server.index.walker import Emit
from hie.core.fhir.json import Json

NAMES: Final = frozenset({"_text", "_content"})
# PostgreSQL takes lexemes of 2,046 bytes; nobody types a word of 60 letters.
_LONGEST: Final = 60
# What a text of a megabyte begins with has to do: a tsvector holds one megabyte.
_MOST_WORDS: Final = 10_000
_IDEOGRAPH: Final = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN: Final = re.compile(rf"(?P<ideographs>[{_IDEOGRAPH}]+)|(?:(?![{_IDEOGRAPH}])[^\W_])+")
_TAG: Final = re.compile(r"<[^>]*>")
# Elements whose text nobody reads: addresses of things, and binary content.
_UNREAD: Final = frozenset({"data", "hash", "reference", "resourceType", "system", "url", "versionId"})


def words_of(text: str) -> list[str]:
    """Return the words of `text` in order, repeated as they are.

    >>> words_of("2型糖尿病 (Type 2)")
    ['2', '型', '糖', '尿', '病', '型糖', '糖尿', '尿病', 'type', '2']
    """
    found: list[str] = []
    for match in _RUN.finditer(normal_form(text)):
        run = match["ideographs"]
        if run is None:
            found.append(match[0][:_LONGEST])
        else:
            found += run
            found += (run[at : at + 2] for at in range(len(run) - 1))
    return found


def lexeme(param: int, word: str) -> str:
    """Return `word` as it stands in the index: of one parameter, so that no other's rows are read."""
    return f"{param:x}:{word}"


def text_emit(code: str, param: int) -> Emit:
    """Return what adds the row of a resource for ``_text`` or ``_content``, which `code` names."""
    texts = _narrative if code == "_text" else _texts

    def emit(value: Json, rows: IndexRows) -> None:
        words: dict[str, None] = {}
        for text in texts(value):
            words |= dict.fromkeys(words_of(text))
            if len(words) > _MOST_WORDS:
                break
        if words:
            listed = " ".join(f"'{lexeme(param, word)}'" for word in words)
            rows.text.append((param, listed))

    return emit


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
                if name == "div" and type(below) is str:
                    yield html.unescape(_TAG.sub(" ", below))
                elif name not in _UNREAD:
                    stack.append(below)
        elif type(each) is list:
            stack += each
        elif type(each) is str:
            yield each
