"""The hierarchy of a stored CodeSystem, for `:below`, `:above` and filters of value sets.

https://hl7.org/fhir/R4/codesystem.html#hierarchy: concepts inside concepts, and
the properties ``parent`` and ``child``, which mean the same.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject

_PROPERTIES: Final = frozenset({"parent", "child"})


def concepts_of(definition: JsonObject) -> Mapping[str, JsonObject]:
    """Return code -> concept of all concepts of a CodeSystem, at any depth."""
    return {concept["code"]: concept for concept, _ in _walk(definition.get("concept", []), None)}


def relatives(definition: JsonObject, code: str, *, is_above: bool) -> list[str]:
    """Return `code` and the codes that it subsumes, or (`is_above`) that subsume it.

    Raises MalformedSearchError when the code system does not have `code`, or not its content.
    """
    if definition.get("content") not in {"complete", "fragment", "supplement"}:
        raise MalformedSearchError(
            f"CodeSystem `{definition.get('url')}` is stored without its content; its hierarchy is not known"
        )
    parents: dict[str, set[str]] = {}
    for concept, parent in _walk(definition.get("concept", []), None):
        own = parents.setdefault(concept["code"], set())
        if parent is not None:
            own.add(parent)
        for each in concept.get("property", []):
            if each.get("code") in _PROPERTIES and "valueCode" in each:
                other = each["valueCode"]
                if each["code"] == "parent":
                    own.add(other)
                else:
                    parents.setdefault(other, set()).add(concept["code"])
    if code not in parents:
        raise MalformedSearchError(f"CodeSystem `{definition.get('url')}` has no code `{code}`")
    return _reached(code, parents if is_above else _turned(parents))


def _walk(concepts: Iterable[JsonObject], parent: str | None) -> Iterable[tuple[JsonObject, str | None]]:
    stack = [(concept, parent) for concept in concepts]
    while stack:
        concept, above = stack.pop()
        yield concept, above
        stack += ((below, concept["code"]) for below in concept.get("concept", []))


def _turned(links: Mapping[str, set[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for code, others in links.items():
        for other in others:
            found.setdefault(other, set()).add(code)
    return found


def _reached(start: str, links: Mapping[str, set[str]]) -> list[str]:
    found, fresh = {start: None}, [start]
    while fresh:
        for other in sorted(links.get(fresh.pop(), ())):
            if other not in found:
                found[other] = None
                fresh.append(other)
    return list(found)
