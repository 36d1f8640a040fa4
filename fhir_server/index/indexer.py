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
from fhir_server.index.rows import IndexRows
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
    ) -> None:
        """Take the server's own base URL and the zone of dates without offset; R4's registries by default."""
        self._base_url = base_url.rstrip("/")
        self._zone = zone
        self._registry = registry or load_registry()
        self._elements = elements or load_element_types()
        self._trees: dict[str, TypeCompiler] = {}

    def index(self, resource: JsonObject) -> IndexRows:
        """Return the rows of `resource`; none for a type that is not of R4.

        Elements that are not of their type give no row and raise nothing: what
        is valid is for the validator to say.
        """
        rows = IndexRows()
        resource_type = resource.get("resourceType")
        if isinstance(resource_type, str):
            walk(self._tree(resource_type).root, resource, rows)
        for name in ("token", "reference", "string", "date", "number", "quantity", "uri"):
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
        return (
            parameter.code in RESOURCE_COLUMNS
            or (parameter.resource_type, parameter.code) not in self._tree(parameter.resource_type).refused
        )

    def _tree(self, resource_type: str) -> TypeCompiler:
        tree = self._trees.get(resource_type)
        if tree is None:
            parameters = [
                each
                for code, each in self._registry.of(resource_type).items()
                if code not in RESOURCE_COLUMNS
            ]
            tree = TypeCompiler(resource_type, parameters, self._elements, self._base_url, self._zone)
            self._trees[resource_type] = tree
        return tree
