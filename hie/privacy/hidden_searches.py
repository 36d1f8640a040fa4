"""Which searches would tell what is masked: by an element, by what a text of it holds, or by its order.

Who sees `138****0000` could find the rest by asking for each number, and sort by what is hidden until its
place tells it. So whoever may not see a kind of element may not search by it: not by its parts
(`address-city`), not by texts, which may hold it. Identifiers of systems that are not masked may be searched
by, with their system.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from hie.core.masking import Asked
from hie.privacy.elements import types_on
from hie.privacy.masking_rules import Identities, Kind

_TYPES: Final[Mapping[str, Kind]] = {
    "HumanName": "name",
    "ContactPoint": "contact",
    "Address": "address",
    "Identifier": "identity",
}
# https://hl7.org/fhir/R4/search.html#text, #content: narrative and all texts.
_TEXTS: Final = frozenset({"_text", "_content"})
# Reference.identifier and Reference.display by way of the reference.
_OF_REFERENCES: Final = frozenset({"identifier", "text"})
# ``.where(...)``, ``as Type``, ``.as(Type)``, ``.ofType(Type)``: what is left is a dotted path.
_CALL: Final = re.compile(
    r"\.(?:where|as|ofType|resolve|exists)\((?:[^()]|\([^()]*\))*\)|\s+as\s+\w+|\s+is\s+\w+"
)
_PATH: Final = re.compile(r"[A-Z]\w*(?:\.\w+)*")
_UNESCAPED_COMMA: Final = re.compile(r"(?<!\\),")


def is_hidden(
    asked: Asked, kinds: frozenset[Kind], identities: Identities, strings: Mapping[str, Kind]
) -> bool:
    """Say whether a search by `asked` would tell what of `kinds` is masked; `strings` are paths by kind."""
    if asked.code in _TEXTS:
        return True
    if asked.type == "reference":
        return asked.modifier in _OF_REFERENCES
    if asked.modifier == "text" and asked.type == "token":
        # the display of a coding is a text like others; that of an Identifier's type says nothing
        return "identity" in kinds and "identity" in kinds_of(asked.expression)
    found = kinds_of(asked.expression) & kinds
    found |= {kind for path, kind in strings.items() if kind in kinds and path in asked.expression}
    if found == {"identity"} and "Identifier" in types_of(asked.expression):
        return not _is_of_open_systems(asked, identities)
    return bool(found)


@cache
def kinds_of(expression: str) -> frozenset[Kind]:
    """Return the kinds of elements that a FHIRPath `expression` of a search parameter reads.

    >>> sorted(kinds_of("Patient.telecom.where(system='phone') | Patient.name.family"))
    ['contact', 'name']
    """
    parts = [part for part in expression.split("|") if part.strip()]
    if not all(_PATH.search(_CALL.sub("", part)) for part in parts):
        return frozenset(_TYPES.values())  # of a form that is not understood: it may read anything
    return frozenset(_TYPES[name] for name in types_of(expression) if name in _TYPES)


@cache
def types_of(expression: str) -> frozenset[str]:
    """Return the data types on the way of the paths in a FHIRPath `expression`."""
    paths = _PATH.findall(_CALL.sub("", expression))
    return frozenset(name for path in paths for name in types_on(path))


def _is_of_open_systems(asked: Asked, identities: Identities) -> bool:
    """Say whether identifiers of systems are asked for, all of which are not masked."""
    if asked.modifier or asked.value is None:
        return False
    for value in _UNESCAPED_COMMA.split(asked.value):
        system, bar, _ = value.partition("|")
        if not (bar and system) or identities.has_system(system):
            return False
    return True
