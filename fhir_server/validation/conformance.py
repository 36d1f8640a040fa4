"""Where StructureDefinitions, ValueSets and CodeSystems come from: the port of the profile validator.

`LoadedResources` holds them in memory (a package folder, a test); those that clients store in the
repository come from `fhir_server.validation.stored`. https://hl7.org/fhir/R4/conformance-module.html
"""

from collections.abc import Iterable
from typing import Final, Literal, Protocol

from fhir_server.definitions.profiles import structure_definition
from hie.core.fhir.json import JsonObject

ConformanceType = Literal["StructureDefinition", "ValueSet", "CodeSystem"]

CONFORMANCE_TYPES: Final[tuple[ConformanceType, ...]] = ("StructureDefinition", "ValueSet", "CodeSystem")


class ConformanceResources(Protocol):
    """Finds conformance resources by canonical URL."""

    def generation(self) -> int:
        """Return a number that is another one whenever a resource was added, changed or removed.

        What was compiled from the resources of one generation is valid for that generation.
        """
        ...

    def find(self, resource_type: ConformanceType, canonical: str) -> JsonObject | None:
        """Return the resource of `canonical` ("url" or "url|version"), the latest one where none is named."""
        ...


class LoadedResources:
    """Conformance resources held in memory; later ones of the same url win."""

    def __init__(self, resources: Iterable[JsonObject] = ()) -> None:
        self._found: dict[tuple[str, str], JsonObject] = {}
        self._generation = 0
        self.add(resources)

    def add(self, resources: Iterable[JsonObject]) -> None:
        """Take `resources`; those of other types are left."""
        for resource in resources:
            kind, url = resource.get("resourceType", ""), resource.get("url")
            if kind in CONFORMANCE_TYPES and isinstance(url, str):
                self._found[kind, url] = resource
                self._found[kind, f"{url}|{resource.get('version', '')}"] = resource
        self._generation += 1

    def generation(self) -> int:
        """Return how often resources were added."""
        return self._generation

    def find(self, resource_type: ConformanceType, canonical: str) -> JsonObject | None:
        """Return the resource of `canonical`, None if it was not given."""
        return self._found.get((resource_type, canonical))


class WithR4:
    """The resources of a source, and R4's own profiles and extensions where it has none of that url."""

    def __init__(self, source: ConformanceResources) -> None:
        self._source = source

    def generation(self) -> int:
        """Return the generation of the source; R4 does not change."""
        return self._source.generation()

    def find(self, resource_type: ConformanceType, canonical: str) -> JsonObject | None:
        """Return what the source has, else what R4 has."""
        found = self._source.find(resource_type, canonical)
        if found is None and resource_type == "StructureDefinition":
            return structure_definition(canonical)
        return found
