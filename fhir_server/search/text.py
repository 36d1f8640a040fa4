"""Searches of texts that stand beside codes (`:text`), in the narrative (`_text`), or anywhere (`_content`).

https://hl7.org/fhir/R4/search.html#modifiers, #content. The words of a value
must all be there, in any order; a word that ends in ``*`` stands for all that
begin with it.
"""

import re
from dataclasses import replace
from typing import Final

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.index.hashing import param_id
from fhir_server.index.normal_form import LONGEST, normal_form
from fhir_server.index.strings import window_param
from fhir_server.index.words import NAMES, lexeme, words_in, words_of
from fhir_server.search.conditions import StringIs, TextIs, Words
from fhir_server.search.look_up import LookUp
from fhir_server.search.sql import Sql, any_of
from fhir_server.search.syntax import split_list, unescape
from hie.core.fhir.json import JsonObject

__all__ = ["NAMES", "full_text", "has_words", "text_of_code", "words_predicate"]

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


def full_text(parameter: SearchParameter, text: str, look_up: LookUp | None) -> TextIs:
    """Return the condition ``_text=text`` or ``_content=text``.

    `look_up` knows the resources whose words are not indexed yet; None: there are none.
    """
    asked = TextIs(
        parameter.number, parameter.code, tuple(_words(unescape(part)) for part in split_list(text))
    )
    if look_up is None:
        return asked
    found = tuple(
        (each.rid, each.seq)
        for each in look_up.unindexed(parameter.resource_type)
        if has_words(asked, each.resource)
    )
    return replace(asked, unindexed=found) if found else asked


def has_words(condition: TextIs, resource: JsonObject) -> bool:
    """Return whether `condition` holds of `resource`, as the index would say."""
    words = words_in(condition.code, resource)
    return any(
        all(each in words for each in value.whole)
        and all(any(word.startswith(begun) for word in words) for begun in value.beginnings)
        for value in condition.values
    )


def words_predicate(condition: TextIs, row: str) -> Sql:
    """Return what is true of the rows of `ix_text`, under the alias `row`, that satisfy `condition`."""
    param = condition.param
    either = any_of(Sql(f"{row}.words @@ %s::tsquery", (_query(param, value),)) for value in condition.values)
    return Sql(f"{row}.param = %s AND {either.text}", (param, *either.params))


def _words(text: str) -> Words:
    begun = [word for found in _PREFIX.findall(text) for word in words_of(found)[-1:]]
    whole = words_of(_PREFIX.sub(" ", text))
    if not begun and not whole:
        raise ValueError("the value has no word")
    # A pair of ideographs says that both are there.
    needed = [
        each for each in dict.fromkeys(whole) if not any(each != pair and each in pair for pair in whole)
    ]
    return Words(tuple(needed or whole), tuple(dict.fromkeys(begun)))


def _query(param: int, value: Words) -> str:
    """Return `value` as PostgreSQL writes a tsquery."""
    listed = [f"'{lexeme(param, word)}'" for word in value.whole]
    listed += [f"'{lexeme(param, word)}':*" for word in value.beginnings]
    return " & ".join(listed)
