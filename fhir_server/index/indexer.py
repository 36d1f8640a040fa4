"""Makes the index rows of resources, by one compiled tree of paths for each type.

Trees are compiled when their type is first met and kept. Indexing reads the
resource only: references are not resolved, nothing is written here.
"""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import (
    SearchParameter,
    SearchParameterRegistry,
    load_registry,
    type_number,
)
from fhir_server.index.compiler import TypeCompiler
from fhir_server.index.contained import MOST_CONTAINED, set_apart
from fhir_server.index.parts import parts_of_type
from fhir_server.index.rows import COLUMNS, ContainedRows, IndexRows, TextRow
from fhir_server.index.walker import walk
from fhir_server.index.words import NAMES, vector, words_in
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
        has_full_text: bool = False,
    ) -> None:
        """Take the server's own base URL and the zone of dates without offset; R4's registries by default.

        With `has_full_text` resources can be found by `_text` and `_content`.
        """
        self._has_full_text = has_full_text
        self._base_url = base_url.rstrip("/")
        self._zone = zone
        self._compiled = _Compiled(registry or load_registry())
        self.contained_types: set[int] = set()
        """The numbers of the types of which contained resources are known to be stored; it only grows."""

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
        """Return the rows of `resource` but for those of words; none for a type that is not of R4.

        Elements that are not of their type give no row and raise nothing: what
        is valid is for the validator to say.
        """
        if "contained" not in resource:
            rows = IndexRows()
            self._index(resource, rows)
            return rows
        inside = _contained(resource)
        local = {each["id"]: each["resourceType"] for _, each in inside if type(each.get("id")) is str}
        rows = IndexRows(local=local)
        self._index(resource, rows)
        rows.contained = self._contained(resource, inside, local)
        return rows

    def _index(self, resource: JsonObject, rows: IndexRows) -> None:
        resource_type = resource.get("resourceType")
        if isinstance(resource_type, str):
            walk(self._tree(resource_type).root, resource, rows)
        for name in COLUMNS:
            table = getattr(rows, name)
            if len(table) > 1:
                setattr(rows, name, list(dict.fromkeys(table)))

    def _contained(
        self, resource: JsonObject, inside: Sequence[tuple[int, JsonObject]], local: Mapping[str, str]
    ) -> list[ContainedRows]:
        """Return the rows of `inside`, what `resource` contains, as `_contained` gives it."""
        kind = str(resource.get("resourceType"))
        container, path = type_number(kind), f"{kind}/{resource.get('id')}"
        if container is None:
            return []
        found: list[ContainedRows] = []
        for position, each in inside:
            rows = IndexRows(path, {**local, "": kind})
            self._index(each, rows)
            set_apart(rows)
            identifier = each.get("id")
            # PostgreSQL's text holds no U+0000
            known = identifier.replace("\0", "") if type(identifier) is str else None
            number = type_number(each["resourceType"])
            assert number is not None  # noqa: S101 - `_contained` gives no others
            found.append(ContainedRows(position, container, number, known, rows))
        self.contained_types.update(each.type for each in found)
        return found

    def words(self, resource: JsonObject) -> list[TextRow]:
        """Return the rows of `resource` for `_text` and `_content`; none where full text is off."""
        resource_type = resource.get("resourceType")
        if not self._has_full_text or not isinstance(resource_type, str):
            return []
        parameters = self.registry.of(resource_type)
        return [
            (number, vector(number, words))
            for code in NAMES
            if code in parameters and (words := words_in(code, resource))
            for number in (parameters[code].number,)
        ]

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

    def refusal_of_definition(self, parameter: SearchParameter) -> str | None:
        """Return why nothing could ever be found by `parameter`, registered or not; None where it can."""
        alone = {parameter.code: parameter}
        tree = TypeCompiler(parameter.resource_type, alone, self._base_url, self._zone)
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
                self._base_url,
                self._zone,
                has_full_text=self._has_full_text,
                without=frozenset(self._parts_of_type(resource_type)),
            )
            compiled.trees[resource_type] = tree
        return tree


def _contained(resource: JsonObject) -> list[tuple[int, JsonObject]]:
    """Return the resources of R4's types that `resource` contains, with their positions.

    A contained resource contains none itself (dom-2).
    """
    given = resource["contained"]
    return [
        (position, each)
        for position, each in enumerate(given[:MOST_CONTAINED] if type(given) is list else ())
        if type(each) is dict
        and type(each.get("resourceType")) is str
        and type_number(each["resourceType"]) is not None
    ]


class _Compiled:
    """A registry with what has been compiled of it."""

    __slots__ = ("parts", "registry", "trees")

    def __init__(self, registry: SearchParameterRegistry) -> None:
        self.registry = registry
        self.trees: dict[str, TypeCompiler] = {}
        self.parts: dict[str, Mapping[str, tuple[SearchParameter, ...]]] = {}
