r"""The grammar of search parameters: names, modifiers, chains, prefixes, lists and escapes.

https://hl7.org/fhir/R4/search.html: ``name:modifier``, ``reference:Type.name``,
``_has:Type:reference:name``, ``value,value`` and the escapes ``\,`` ``\|``
``\$`` ``\\``. Texts only; what a name means is for `parse`.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
PREFIXES: Final[dict[str, Prefix]] = {
    each: each for each in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
}

_ESCAPED: Final = re.compile(r"\\([\\,|$])")
_NUMBER_PREFIX: Final = re.compile(r"([a-z]{2})(?=[+\-.\d])")


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter's name: ``subject:Patient.name`` is code "subject", modifier "Patient", rest "name"."""

    code: str
    modifier: str
    rest: str


def split_name(name: str) -> Name:
    """Return the parts of `name`: the code, its modifier, and what follows the first dot.

    >>> split_name("subject:Patient.name:exact")
    Name(code='subject', modifier='Patient', rest='name:exact')
    """
    head, _, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    return Name(code, modifier, rest)


def split_list(text: str, separator: str = ",") -> list[str]:
    r"""Return the parts of `text` between separators that are not escaped; escapes are kept.

    >>> split_list(r"a\,b,c")
    ['a\\,b', 'c']
    """
    if "\\" not in text:
        return text.split(separator)
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == separator:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    parts.append(text[start:])
    return parts


def unescape(text: str) -> str:
    """Return `text` with its escapes resolved; a backslash before any other character stays."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def escape(text: str, *, keep: str = "") -> str:
    r"""Return `text` with the signs that separate values escaped, but for those in `keep`.

    >>> escape("a,b|c", keep="|")
    'a\\,b|c'
    """
    return "".join(f"\\{each}" if each in "\\,|$" and each not in keep else each for each in text)


def split_prefix(text: str) -> tuple[Prefix, str]:
    """Return the comparison prefix of a date, number or quantity and the rest; "eq" when there is none.

    Raises ValueError for two letters that are no prefix.

    >>> split_prefix("ge2024-01")
    ('ge', '2024-01')
    """
    match = _NUMBER_PREFIX.match(text)
    if match is None:
        return "eq", text
    if match[1] not in PREFIXES:
        raise ValueError(f"`{match[1]}` is not a prefix of FHIR R4 ({', '.join(PREFIXES)})")
    return PREFIXES[match[1]], text[2:]
