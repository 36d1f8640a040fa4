"""String manipulation: https://hl7.org/fhirpath/N1/#string-manipulation; what N1 lacks, the current build.

``matches``, ``matchesFull`` and ``replaceMatches`` take time in proportion to the text, whatever the pattern
(`hie.core.fhirpath.patterns`). As FHIRPath has it, ``.`` is any character, line ends included.
"""

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from typing import Final

from hie.core.fhirpath.evaluation import Closure, Frame
from hie.core.fhirpath.functions.function import Function
from hie.core.fhirpath.node import Items
from hie.core.fhirpath.operators import checked_text
from hie.core.fhirpath.patterns import pattern_of
from hie.core.fhirpath.values import integer_of, text_of
from hie.core.language_errors import FhirPathError


def _index_of(items: Items, frame: Frame, part: Closure) -> Items:
    text, other = text_of(items, "indexOf()"), text_of(part(frame), "indexOf()")
    return [] if text is None or other is None else [text.find(other)]


def _last_index_of(items: Items, frame: Frame, part: Closure) -> Items:
    text, other = text_of(items, "lastIndexOf()"), text_of(part(frame), "lastIndexOf()")
    return [] if text is None or other is None else [text.rfind(other)]


def _substring(items: Items, frame: Frame, start: Closure, length: Closure | None = None) -> Items:
    text, first = text_of(items, "substring()"), integer_of(start(frame), "substring()")
    if text is None or first is None or not 0 <= first < len(text):
        return []
    count = None if length is None else integer_of(length(frame), "substring()")
    return [text[first:] if count is None else text[first : first + max(count, 0)]]


def _test(name: str, test: Callable[[str, str], bool]) -> Function:
    def apply(items: Items, frame: Frame, part: Closure) -> Items:
        text, other = text_of(items, name), text_of(part(frame), name)
        return [] if text is None or other is None else [test(text, other)]

    return Function(apply, 1, 1)


def _change(name: str, change: Callable[[str], str]) -> Function:
    def apply(items: Items, _: Frame) -> Items:
        text = text_of(items, name)
        return [] if text is None else [checked_text(change(text))]

    return Function(apply)


def _replace(items: Items, frame: Frame, part: Closure, substitution: Closure) -> Items:
    text, other = text_of(items, "replace()"), text_of(part(frame), "replace()")
    by = text_of(substitution(frame), "replace()")
    if text is None or other is None or by is None:
        return []
    frame.run.spend((len(text) + 1) * len(by) // 1000)
    if (text.count(other) + 1) * len(by) > 2 * len(text) + 1_000_000:
        checked_text(text + by * text.count(other))
    return [checked_text(text.replace(other, by))]


def _matches(items: Items, frame: Frame, pattern: Closure) -> Items:
    text, other = text_of(items, "matches()"), text_of(pattern(frame), "matches()")
    return [] if text is None or other is None else [pattern_of(other).is_in(text, frame.run.spend)]


def _matches_full(items: Items, frame: Frame, pattern: Closure) -> Items:
    text, other = text_of(items, "matchesFull()"), text_of(pattern(frame), "matchesFull()")
    return [] if text is None or other is None else [pattern_of(other).is_whole(text, frame.run.spend)]


def _replace_matches(items: Items, frame: Frame, pattern: Closure, substitution: Closure) -> Items:
    text, other = text_of(items, "replaceMatches()"), text_of(pattern(frame), "replaceMatches()")
    by = text_of(substitution(frame), "replaceMatches()")
    if text is None or other is None or by is None:
        return []
    return [checked_text(pattern_of(other).replaced(text, by, frame.run.spend))]


def _length(items: Items, _: Frame) -> Items:
    text = text_of(items, "length()")
    return [] if text is None else [len(text)]


def _to_chars(items: Items, frame: Frame) -> Items:
    text = text_of(items, "toChars()")
    frame.run.spend(len(text or ""))
    return [] if text is None else list(text)


def _split(items: Items, frame: Frame, separator: Closure) -> Items:
    text, other = text_of(items, "split()"), text_of(separator(frame), "split()")
    if text is None or other is None:
        return []
    frame.run.spend(len(text))
    return list(text) if other == "" else list(text.split(other))


def _join(items: Items, frame: Frame, separator: Closure | None = None) -> Items:
    between = "" if separator is None else text_of(separator(frame), "join()") or ""
    texts = [text for item in items if (text := text_of([item], "join()")) is not None]
    # nothing joins to the empty text, as SQL-on-FHIR v2 has it
    frame.run.spend(len(texts) * (1 + len(between) // 1000))
    return [checked_text(between.join(texts))]


_ENCODERS: Final[dict[str, Callable[[str], str]]] = {
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "urlbase64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}
_DECODERS: Final[dict[str, Callable[[str], str]]] = {
    "hex": lambda text: bytes.fromhex(text).decode(),
    "base64": lambda text: base64.b64decode(text, validate=True).decode(),
    "urlbase64": lambda text: base64.b64decode(text, b"-_", validate=True).decode(),
}
# A pair of surrogates is one character.
_JSON_ESCAPE: Final = re.compile(r"(?:\\u[dD][89abAB][0-9a-fA-F]{2}){0,1}\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPERS: Final[dict[str, Callable[[str], str]]] = {
    "html": lambda text: html.escape(text, quote=True),
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
}
_UNESCAPERS: Final[dict[str, Callable[[str], str]]] = {
    "html": html.unescape,
    "json": lambda text: _JSON_ESCAPE.sub(lambda match: str(json.loads(f'"{match[0]}"')), text),
}


def _coding(name: str, codings: dict[str, Callable[[str], str]]) -> Function:
    def apply(items: Items, frame: Frame, coding: Closure) -> Items:
        text, wanted = text_of(items, name), text_of(coding(frame), name)
        if text is None or wanted is None:
            return []
        if wanted not in codings:
            raise FhirPathError(f"{name} knows {', '.join(codings)}, not `{wanted}`")
        try:
            return [checked_text(codings[wanted](text))]
        except (ValueError, binascii.Error, UnicodeError) as error:
            raise FhirPathError(f"{name} cannot read the text as {wanted}") from error

    return Function(apply, 1, 1)


STRINGS: Final = {
    "indexOf": Function(_index_of, 1, 1),
    "lastIndexOf": Function(_last_index_of, 1, 1),
    "substring": Function(_substring, 1, 2),
    "startsWith": _test("startsWith()", str.startswith),
    "endsWith": _test("endsWith()", str.endswith),
    "contains": _test("contains()", str.__contains__),
    "upper": _change("upper()", str.upper),
    "lower": _change("lower()", str.lower),
    "trim": _change("trim()", str.strip),
    "replace": Function(_replace, 2, 2),
    "matches": Function(_matches, 1, 1),
    "matchesFull": Function(_matches_full, 1, 1),
    "replaceMatches": Function(_replace_matches, 2, 2),
    "length": Function(_length),
    "toChars": Function(_to_chars),
    "split": Function(_split, 1, 1),
    "join": Function(_join, 0, 1),
    "encode": _coding("encode()", _ENCODERS),
    "decode": _coding("decode()", _DECODERS),
    "escape": _coding("escape()", _ESCAPERS),
    "unescape": _coding("unescape()", _UNESCAPERS),
}
