"""The codes of a stored ValueSet, for `:in` (https://hl7.org/fhir/R4/valueset.html#compositions).

Read from its expansion if it has one, else from what it composes: listed
concepts, whole systems, filters by subsumption, other value sets, exclusions.
"""

from collections.abc import Callable, Iterable
from typing import Final

from fhir_server.search.code_hierarchy import concepts_of, relatives
from fhir_server.search.look_up import Code
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject

# A value set that includes itself, by however many others, has no members.
_DEEPEST: Final = 10
Find = Callable[[str], JsonObject]


def members_of(value_set: JsonObject, value_sets: Find, code_systems: Find, depth: int = 0) -> list[Code]:
    """Return the (system, code) pairs of `value_set`; a code of "" stands for all of its system.

    `value_sets` and `code_systems` find others by URL. Raises MalformedSearchError where it
    composes in a way that only a terminology server can follow.
    """
    if depth > _DEEPEST:
        raise MalformedSearchError(f"ValueSet `{value_set.get('url')}` includes itself")
    expansion = value_set.get("expansion")
    if isinstance(expansion, dict) and "contains" in expansion:
        return list(dict.fromkeys(_contained(expansion["contains"])))
    compose = value_set.get("compose", {})
    found: dict[Code, None] = {}
    for part in compose.get("include", []):
        found |= dict.fromkeys(_of_part(part, value_sets, code_systems, depth))
    for part in compose.get("exclude", []):
        for code in _of_part(part, value_sets, code_systems, depth):
            if code[1] == "" or (code[0], "") in found:
                found = _without(found, code, code_systems)
            else:
                found.pop(code, None)
    return list(found)


def _contained(entries: Iterable[JsonObject]) -> Iterable[Code]:
    for entry in entries:
        if "code" in entry and not entry.get("abstract"):
            yield entry.get("system", ""), entry["code"]
        yield from _contained(entry.get("contains", []))


def _of_part(part: JsonObject, value_sets: Find, code_systems: Find, depth: int) -> list[Code]:
    """Return what one include or exclude names: all that its conditions have in common."""
    sets: list[set[Code]] = []
    system = part.get("system")
    if system is not None:
        sets.append(set(_of_system(part, system, code_systems)))
    sets += (
        set(members_of(value_sets(url), value_sets, code_systems, depth + 1))
        for url in part.get("valueSet", [])
    )
    if not sets:
        return []
    common = sets[0]
    for other in sets[1:]:
        common = _common(common, other)
    return sorted(common)


def _of_system(part: JsonObject, system: str, code_systems: Find) -> list[Code]:
    if "concept" in part:
        return [(system, each["code"]) for each in part["concept"]]
    if "filter" not in part:
        return [(system, "")]
    definition = code_systems(system)
    codes: set[str] | None = None
    for each in part["filter"]:
        found = _filtered(definition, each)
        codes = found if codes is None else codes & found
    return [(system, code) for code in sorted(codes or ())]


def _filtered(definition: JsonObject, condition: JsonObject) -> set[str]:
    """Return the codes that a filter selects (https://hl7.org/fhir/R4/valueset-filter-operator.html)."""
    operator, value = condition.get("op"), str(condition.get("value"))
    if condition.get("property") in {"concept", "code"}:
        if operator == "is-a":
            return set(relatives(definition, value, is_above=False))
        if operator == "descendent-of":
            return set(relatives(definition, value, is_above=False)) - {value}
        if operator == "generalizes":
            return set(relatives(definition, value, is_above=True))
        if operator == "is-not-a":
            return set(concepts_of(definition)) - set(relatives(definition, value, is_above=False))
        if operator == "in":
            return set(value.split(",")) & set(concepts_of(definition))
    if operator == "=":
        return {
            code
            for code, concept in concepts_of(definition).items()
            if any(
                each.get("code") == condition.get("property")
                and value in {str(each[name]) for name in each if name.startswith("value")}
                for each in concept.get("property", [])
            )
        }
    raise MalformedSearchError(
        f"The filter `{condition.get('property')} {operator}` of a ValueSet is not one that a search follows"
    )


def _common(left: set[Code], right: set[Code]) -> set[Code]:
    """Return what both have, where a code of "" stands for its whole system."""
    found = left & right
    found |= {code for code in left if (code[0], "") in right}
    return found | {code for code in right if (code[0], "") in left}


def _without(found: dict[Code, None], code: Code, code_systems: Find) -> dict[Code, None]:
    """Return `found` without `code`, where one of the two is a whole system."""
    system, excluded = code
    if excluded == "":
        return {each: None for each in found if each[0] != system}
    listed = {(system, each): None for each in concepts_of(code_systems(system)) if each != excluded}
    return {each: None for each in found if each != (system, "")} | listed
