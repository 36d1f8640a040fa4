"""Makes the index rows of resources, by one compiled tree of paths for each type.

Trees are compiled when their type is first met and kept. Indexing reads the
resource only: references are not resolved, nothing is written here.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import (
    ElementTypes,
    SearchParameter,
    SearchParameterRegistry,
    load_element_types,
    load_registry,
)
from fhir_server.index.compiler import TypeCompiler
from fhir_server.index.parts import parts_of_type
from fhir_server.index.rows import COLUMNS, IndexRows
from fhir_server.index.walker import walk
from hie.core.fhir.json import JsonObject

# Answered by columns of `resource`, not by index rows.
RESOURCE_COLUMNS = frozenset({"_id", "_lastUpdated"})


class Indexer:
    """Makes index rows; safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        zone: ZoneInfo,
        *,
        registry: SearchParameterRegistry | None = None,
        elements: ElementTypes | None = None,
        has_full_text: bool = False,
    ) -> None:
        """Take the server's own base URL and the zone of dates without offset; R4's registries by default.

        With `has_full_text` narratives and all other texts are indexed for `_text` and `_content`.
        """
        self._has_full_text = has_full_text
        self._base_url = base_url.rstrip("/")
        self._zone = zone
        self._compiled = _Compiled(registry or load_registry())
        self._elements = elements or load_element_types()

    @property
    def registry(self) -> SearchParameterRegistry:
        """The parameters by which resources are indexed now."""
        return self._compiled.registry

    def replace_registry(self, registry: SearchParameterRegistry) -> None:
        """Index by the parameters of `registry` from now on; types without a change stay compiled."""
        before = self._compiled
        after = _Compiled(registry)
        same = {
            name
            for name in before.trees
            if before.registry.stored.get(name, {}) == registry.stored.get(name, {})
        }
        after.trees = {name: tree for name, tree in before.trees.items() if name in same}
        after.parts = {name: parts for name, parts in before.parts.items() if name in same}
        self._compiled = after

    def index(self, resource: JsonObject) -> IndexRows:
        """Return the rows of `resource`; none for a type that is not of R4.

        Elements that are not of their type give no row and raise nothing: what
        is valid is for the validator to say.
        """
        rows = IndexRows()
        resource_type = resource.get("resourceType")
        if isinstance(resource_type, str):
            walk(self._tree(resource_type).root, resource, rows)
        for name in COLUMNS:
            table = getattr(rows, name)
            if len(table) > 1:
                setattr(rows, name, list(dict.fromkeys(table)))
        return rows

    def not_indexed(self) -> Mapping[tuple[str, str], str]:
        """Return (type, code) -> reason of every search parameter that gives no rows, over all types."""
        return {
            key: reason
            for resource_type in R4_RESOURCE_TYPES
            for key, reason in self._tree(resource_type).refused.items()
        }

    def is_indexed(self, parameter: SearchParameter) -> bool:
        """Return whether resources can be found by `parameter`."""
        return self.refusal(parameter) is None

    def refusal(self, parameter: SearchParameter) -> str | None:
        """Return why no resource can be found by `parameter`, None where they can be."""
        if parameter.code in RESOURCE_COLUMNS:
            return None
        if not parameter.is_active:
            return "it is registered and waits for $reindex"
        tree = self._tree(parameter.resource_type)
        return tree.refused.get((parameter.resource_type, parameter.code))

    def parts_of(self, parameter: SearchParameter) -> tuple[SearchParameter, ...]:
        """Return the parameters in whose rows the values of `parameter` stand; empty for its own."""
        return self._parts_of_type(parameter.resource_type).get(parameter.code, ())

    def _parts_of_type(self, resource_type: str) -> Mapping[str, tuple[SearchParameter, ...]]:
        compiled = self._compiled
        parts = compiled.parts.get(resource_type)
        if parts is None:
            parts = parts_of_type(compiled.registry.of(resource_type))
            compiled.parts[resource_type] = parts
        return parts

    def _tree(self, resource_type: str) -> TypeCompiler:
        compiled = self._compiled
        tree = compiled.trees.get(resource_type)
        if tree is None:
            parameters = {
                code: each
                for code, each in compiled.registry.of(resource_type).items()
                if code not in RESOURCE_COLUMNS
            }
            tree = TypeCompiler(
                resource_type,
                parameters,
                self._elements,
                self._base_url,
                self._zone,
                has_full_text=self._has_full_text,
                without=frozenset(self._parts_of_type(resource_type)),
            )
            compiled.trees[resource_type] = tree
        return tree


class _Compiled:
    """A registry with what has been compiled of it."""

    __slots__ = ("parts", "registry", "trees")

    def __init__(self, registry: SearchParameterRegistry) -> None:
        self.registry = registry
        self.trees: dict[str, TypeCompiler] = {}
        self.parts: dict[str, Mapping[str, tuple[SearchParameter, ...]]] = {}
