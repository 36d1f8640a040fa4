"""Searches of texts that stand beside codes (`:text`), in the narrative (`_text`), or anywhere (`_content`).

https://hl7.org/fhir/R4/search.html#modifiers, #content. The words of a value
must all be there, in any order; a word that ends in ``*`` stands for all that
begin with it.
"""

import re
from typing import Final

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.index.hashing import param_id
from fhir_server.index.normal_form import LONGEST, normal_form
from fhir_server.index.strings import window_param
from fhir_server.index.words import NAMES, lexeme, words_of
from fhir_server.search.conditions import StringIs, TextIs
from fhir_server.search.syntax import split_list, unescape

__all__ = ["NAMES", "full_text", "text_of_code"]

_PREFIX: Final = re.compile(r"[^\s*]+\*")


def text_of_code(parameter: SearchParameter, text: str) -> StringIs:
    """Return the condition ``parameter:text=text``: a text or display begins so."""
    code = f"{parameter.code}:text"
    values = tuple(normal_form(unescape(part))[:LONGEST] for part in split_list(text))
    if not all(values):
        raise ValueError("the value is empty")
    return StringIs(
        param_id(parameter.resource_type, code), window_param(parameter.resource_type, code), "start", values
    )


def full_text(parameter: SearchParameter, text: str) -> TextIs:
    """Return the condition ``_text=text`` or ``_content=text``."""
    return TextIs(
        parameter.number, tuple(_query(parameter.number, unescape(part)) for part in split_list(text))
    )


def _query(param: int, text: str) -> str:
    begun = [word for found in _PREFIX.findall(text) for word in words_of(found)[-1:]]
    whole = words_of(_PREFIX.sub(" ", text))
    if not begun and not whole:
        raise ValueError("the value has no word")
    # A pair of ideographs says that both are there.
    needed = [
        each for each in dict.fromkeys(whole) if not any(each != pair and each in pair for pair in whole)
    ]
    listed = [f"'{lexeme(param, word)}'" for word in needed or whole]
    listed += [f"'{lexeme(param, word)}':*" for word in dict.fromkeys(begun)]
    return " & ".join(listed)
