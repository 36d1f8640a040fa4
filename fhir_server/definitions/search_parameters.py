"""The registry of search parameters: which a type has, of which kind, over which elements.

Reads `search_parameters.json` (made by `search_parameters_extract`), adds to
each type the parameters of Resource and DomainResource, and holds no logic of
indexing or searching (https://hl7.org/fhir/R4/searchparameter-registry.html).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import orjson

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.index.hashing import param_id
from hie.core.fhir.json import JsonObject, dumps

SearchParamType = Literal[
    "number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"
]
# The target that stands for all types.
ANY_RESOURCE: Final = "Resource"
# Not DomainResources (https://hl7.org/fhir/R4/resource.html).
_PLAIN_RESOURCES: Final = frozenset({"Binary", "Bundle", "Parameters"})
_FILE: Final = Path(__file__).with_name("search_parameters.json")


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type.

    `url` is the canonical of its definition; `expression` is FHIRPath, empty where it has none (`_text`);
    `components` of a composite are (code, expression relative to `expression`), and
    `component_parameters` the parameters of these codes, of the same type;
    `number` is what stands for it in the index tables' `param`; `is_stored` says that a resource of this
    server defines it, `is_active` that the whole index holds it.
    """

    resource_type: str
    code: str
    type: SearchParamType
    url: str
    expression: str
    targets: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    number: int
    component_parameters: tuple["SearchParameter", ...] = ()
    is_stored: bool = False
    is_active: bool = True

    def may_target(self, resource_type: str) -> bool:
        """Return whether a reference that this parameter follows may lead to `resource_type`."""
        return resource_type in self.targets or ANY_RESOURCE in self.targets


class SearchParameterRegistry:
    """Every search parameter, by resource type and code."""

    def __init__(
        self,
        definitions: Mapping[str, Mapping[str, JsonObject]],
        *,
        stored: Mapping[str, Mapping[str, JsonObject]] = MappingProxyType({}),
    ) -> None:
        """Take type -> code -> {type, id, expression, target, component} as the file has them."""
        self._definitions = definitions
        self._stored = stored
        self._types: dict[str, Mapping[str, SearchParameter]] = {}

    def extended(self, definitions: Mapping[str, Mapping[str, JsonObject]]) -> "SearchParameterRegistry":
        """Return a registry that has `definitions`, of stored resources, beside its own.

        Their entries have their ``url``, and ``active``: whether the whole index holds them.
        """
        found = SearchParameterRegistry(self._definitions, stored=definitions)
        found._types = {name: each for name, each in self._types.items() if name not in definitions}
        return found

    @property
    def stored(self) -> Mapping[str, Mapping[str, JsonObject]]:
        """Type -> code -> definition of what stored resources define."""
        return self._stored

    def pending(self) -> list[tuple[str, str, str]]:
        """Return (type, code, digest) of the stored definitions that the index does not hold as a whole."""
        return [
            (resource_type, code, digest_of(entry))
            for resource_type, entries in sorted(self._stored.items())
            for code, entry in sorted(entries.items())
            if not entry["active"]
        ]

    def of(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """Return code -> parameter of `resource_type`, common ones included, sorted by code."""
        found = self._types.get(resource_type)
        if found is None:
            merged = dict(self._definitions.get("Resource", {}))
            if resource_type not in _PLAIN_RESOURCES:
                merged |= self._definitions.get("DomainResource", {})
            merged |= self._definitions.get(resource_type, {})
            merged |= self._stored.get(resource_type, {})
            plain = {code: _parameter(resource_type, code, merged[code]) for code in sorted(merged)}
            found = MappingProxyType({code: _with_components(each, plain) for code, each in plain.items()})
            self._types[resource_type] = found
        return found


@cache
def load_registry() -> SearchParameterRegistry:
    """Return the registry of R4 4.0.1."""
    return SearchParameterRegistry(orjson.loads(_FILE.read_bytes())["parameters"])


def digest_of(definition: JsonObject) -> str:
    """Return what changes when the index rows of a definition do."""
    kept = {name: definition.get(name) for name in ("type", "expression", "target", "component")}
    return blake2b(dumps(kept), digest_size=8).hexdigest()


def type_number(resource_type: str) -> int | None:
    """Return what stands for `resource_type` in the tables' smallint columns, None for no R4 type."""
    return _TYPE_NUMBERS.get(resource_type)


_TYPE_NUMBERS: Final = {name: number for number, name in enumerate(R4_RESOURCE_TYPES, start=1)}


def _parameter(resource_type: str, code: str, entry: JsonObject) -> SearchParameter:
    return SearchParameter(
        resource_type,
        code,
        entry["type"],
        entry.get("url") or f"http://hl7.org/fhir/SearchParameter/{entry['id']}",
        entry.get("expression", ""),
        tuple(entry.get("target", ())),
        tuple((part[0], part[1]) for part in entry.get("component", ())),
        param_id(resource_type, code),
        is_stored="active" in entry,
        is_active=entry.get("active", True),
    )


def _with_components(parameter: SearchParameter, of_type: Mapping[str, SearchParameter]) -> SearchParameter:
    parts = tuple(of_type[code] for code, _ in parameter.components if code in of_type)
    return replace(parameter, component_parameters=parts) if parts else parameter
