"""The concepts of a code system with their hierarchy and properties, and the filters of value sets over them.

https://hl7.org/fhir/R4/codesystem.html, https://hl7.org/fhir/R4/valueset.html#compositions
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from fhir_server.definitions.value_sets import code_system
from hie.core.fhir.json import JsonObject

# Only plain patterns: a regular expression of a stored resource must not take exponential time.
_PLAIN_PATTERN: Final = re.compile(r"(?:\\[dw.]|\[[^\[\]()*+?{}|]*\]|[\w\-:/ ])*(?:\*|\+|\{\d{1,2}\})?")


@dataclass(slots=True)
class Concepts:
    """The concepts of a code system by code, and the codes above each; R4's own have no properties here."""

    concepts: dict[str, JsonObject] = field(default_factory=dict)
    above: dict[str, frozenset[str]] = field(default_factory=dict)
    has_properties: bool = True


def concepts_of(system: JsonObject) -> Concepts:
    """Return the concepts of a CodeSystem resource."""
    found = Concepts()
    parents: dict[str, list[str]] = {}
    waiting: list[tuple[JsonObject, str | None]] = [(concept, None) for concept in system.get("concept", ())]
    while waiting:
        concept, above = waiting.pop()
        code = concept.get("code", "")
        found.concepts[code] = concept
        stated = [
            given["valueCode"]
            for given in concept.get("property", ())
            if given.get("code") in ("parent", "subsumedBy") and "valueCode" in given
        ]
        parents.setdefault(code, []).extend([*stated, above] if above is not None else stated)
        waiting += [(below, code) for below in concept.get("concept", ())]
    found.above = {code: _above(code, parents) for code in found.concepts}
    return found


def concepts_of_r4(canonical: str) -> Concepts | None:
    """Return the concepts of a code system of R4: codes and hierarchy, without properties."""
    system = code_system(canonical)
    if system is None:
        return None
    return Concepts(
        {code: {"code": code} for code in system.codes},
        {code: _above(code, system.parents) for code in system.codes},
        has_properties=False,
    )


def _above(code: str, parents: Mapping[str, Sequence[str]]) -> frozenset[str]:
    above = set[str]()
    waiting = list(parents.get(code, ()))
    while waiting:
        parent = waiting.pop()
        if parent not in above:
            above.add(parent)
            waiting += parents.get(parent, ())
    return frozenset(above)


def passes(condition: JsonObject, code: str, known: Concepts | None) -> bool | None:
    """Return whether `code` passes a filter of a value set; None where that cannot be told.

    https://hl7.org/fhir/R4/valueset-filter-operator.html
    """
    name, op, wanted = (str(condition.get(part, "")) for part in ("property", "op", "value"))
    if name == "code" and op == "regex":
        pattern = _pattern(wanted)
        return None if pattern is None else pattern.fullmatch(code) is not None
    if known is None:
        return None
    if code not in known.concepts:
        return False
    if op in _HIERARCHY:
        return _HIERARCHY[op](code, wanted, known.above[code]) if name == "concept" else None
    if op not in _PROPERTIES or not known.has_properties:
        return None
    return _PROPERTIES[op](wanted, _property(known.concepts[code], name))


_HIERARCHY: Final[Mapping[str, Callable[[str, str, frozenset[str]], bool]]] = {
    "is-a": lambda code, wanted, above: code == wanted or wanted in above,
    "descendent-of": lambda _code, wanted, above: wanted in above,
    "is-not-a": lambda code, wanted, above: code != wanted and wanted not in above,
}
_PROPERTIES: Final[Mapping[str, Callable[[str, set[str]], bool]]] = {
    "=": lambda wanted, values: wanted in values,
    "in": lambda wanted, values: not values.isdisjoint(item.strip() for item in wanted.split(",")),
    "not-in": lambda wanted, values: values.isdisjoint(item.strip() for item in wanted.split(",")),
    "exists": lambda wanted, values: bool(values) == (wanted == "true"),
}


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str] | None:
    return re.compile(text) if _PLAIN_PATTERN.fullmatch(text) else None


def _property(concept: JsonObject, name: str | None) -> set[str]:
    """Return the values of a concept's property, and of `code` and `display`, as text."""
    if name in ("code", "concept", "display"):
        return {concept.get("code" if name == "concept" else name, "")} - {""}
    found = set[str]()
    for given in concept.get("property", ()):
        if given.get("code") != name:
            continue
        for key, value in given.items():
            if key.startswith("value"):
                text = value.get("code", "") if isinstance(value, dict) else value
                found.add(str(text).lower() if isinstance(text, bool) else str(text))
    return found
