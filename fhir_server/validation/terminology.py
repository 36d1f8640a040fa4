"""Whether a code is in a value set, as far as it can be told here.

Membership is worked out from the definition of the value set and is not an expansion: included
concepts, whole code systems, hierarchies and imports are followed as far as ValueSets and
CodeSystems are known (stored ones, then those of R4). What needs more, as a filter over SNOMED CT
does, gives None: it is neither refused nor accepted. https://hl7.org/fhir/R4/valueset.html#compositions
"""

from collections.abc import Iterable
from typing import Final

from fhir_server.definitions.value_sets import value_set
from fhir_server.validation.concepts import Concepts, concepts_of, concepts_of_r4, passes
from fhir_server.validation.conformance import ConformanceResources
from hie.core.fhir.json import Json, JsonObject

_DEEPEST: Final = 16


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether all are true: False if one is false, else None if one is unknown."""
    found: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            found = None
    return found


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether one is true: None if none is, but one is unknown."""
    found: bool | None = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            found = None
    return found


class Terminology:
    """Answers from ValueSets and CodeSystems of `resources`, and from those of R4."""

    def __init__(self, resources: ConformanceResources) -> None:
        self._resources = resources
        self._generation = -1
        self._value_sets: dict[str, JsonObject | None] = {}
        self._systems: dict[str, Concepts | None] = {}

    def refresh(self) -> None:
        """Forget what was read from resources that have changed since."""
        generation = self._resources.generation()
        if generation != self._generation:
            self._value_sets, self._systems = {}, {}
            self._generation = generation

    def has_concept(self, canonical: str, value: Json) -> bool | None:
        """Return whether a code, Coding, CodeableConcept or Quantity is in the value set `canonical`.

        Of a CodeableConcept one coding suffices. False for one that has no code at all.
        """
        if isinstance(value, str):
            return self.has(canonical, value)
        if not isinstance(value, dict):
            return False
        codings = value.get("coding", [value])
        return any_of(
            self.has(canonical, coding["code"], coding.get("system", ""))
            for coding in codings
            if "code" in coding
        )

    def has(self, canonical: str, code: str, system: str | None = None, *, depth: int = 0) -> bool | None:
        """Return whether `code` of `system` (None: of any) is a member; None if that cannot be told."""
        if depth > _DEEPEST:
            return None
        stored = self._value_set(canonical)
        if stored is None:
            listed = value_set(canonical)
            return None if listed is None else listed.has(code, system)
        return self._in_composition(stored, code, system, depth)

    def knows(self, canonical: str) -> bool:
        """Say whether the value set `canonical` is known at all."""
        return self._value_set(canonical) is not None or value_set(canonical) is not None

    def _value_set(self, canonical: str) -> JsonObject | None:
        if canonical not in self._value_sets:
            self._value_sets[canonical] = self._resources.find("ValueSet", canonical)
        return self._value_sets[canonical]

    def _in_composition(self, stored: JsonObject, code: str, system: str | None, depth: int) -> bool | None:
        compose: JsonObject = stored.get("compose", {})
        if "include" not in compose:
            return _in_expansion(stored, code, system)
        found = any_of(self._selects(part, code, system, depth) for part in compose["include"])
        excluded = any_of(self._selects(part, code, system, depth) for part in compose.get("exclude", ()))
        answer = all_of((found, None if excluded is None else not excluded))
        return answer if answer is not None else _in_expansion(stored, code, system) or None

    def _selects(self, part: JsonObject, code: str, system: str | None, depth: int) -> bool | None:
        """Return whether one include or exclude selects the code: its system AND all its value sets."""
        own: bool | None = True
        if "system" in part:
            if system is not None and system != part["system"]:
                return False
            own = self._in_system(part, code)
        imported = (self.has(url, code, system, depth=depth + 1) for url in part.get("valueSet", ()))
        return all_of((own, *imported))

    def _in_system(self, part: JsonObject, code: str) -> bool | None:
        if "concept" in part:
            return any(concept.get("code") == code for concept in part["concept"])
        url = part["system"]
        known = self._concepts(f"{url}|{part['version']}" if "version" in part else url)
        if "filter" not in part:
            return None if known is None else code in known.concepts
        return all_of(passes(condition, code, known) for condition in part["filter"])

    def _concepts(self, canonical: str) -> Concepts | None:
        """Return the concepts of a code system, stored or R4's, None if it is not there or not whole."""
        if canonical not in self._systems:
            found = self._resources.find("CodeSystem", canonical)
            is_whole = found is not None and found.get("content") == "complete"
            self._systems[canonical] = concepts_of(found) if found and is_whole else concepts_of_r4(canonical)
        return self._systems[canonical]


def _in_expansion(stored: JsonObject, code: str, system: str | None) -> bool | None:
    """Return whether the expansion of a value set has the code; a part of an expansion proves nothing."""
    expansion = stored.get("expansion")
    if expansion is None:
        return None
    waiting = list(expansion.get("contains", ()))
    count = 0
    while waiting:
        member = waiting.pop()
        waiting += member.get("contains", ())
        count += 1
        if (
            member.get("code") == code
            and system in (None, member.get("system"))
            and not member.get("abstract")
        ):
            return True
    is_whole = "offset" not in expansion and expansion.get("total", count) == count
    return False if is_whole and count else None
