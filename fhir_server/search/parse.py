"""Reads the parameters of a search into a `Query`.

Names are looked up in the registry, values are read by `values`. What cannot be
understood is an error that names it; under lenient handling unknown parameters
are left out and listed instead (https://hl7.org/fhir/R4/search.html#errors).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from fhir_server.definitions.search_parameters import SearchParameter, SearchParameterRegistry, type_number
from fhir_server.index.indexer import Indexer
from fhir_server.search.conditions import AnyOf, Chain, Condition, Has
from fhir_server.search.modifiers import Surroundings, condition_of, is_target, unsupported_modifier
from fhir_server.search.query import Query
from fhir_server.search.result_parameters import RESULT_PARAMETERS, ResultParameters
from fhir_server.search.syntax import split_name
from fhir_server.search.values import target_types
from hie.core.errors import MalformedSearchError, UnknownResourceTypeError, UnknownSearchParameterError

# How far a chain may lead (https://hl7.org/fhir/R4/search.html#chaining sets no limit).
_DEEPEST: Final = 5
_HAS_PARTS: Final = len(("_has", "type", "reference", "parameter"))


class Parser:
    """Reads searches of one server."""

    def __init__(
        self,
        registry: SearchParameterRegistry,
        indexer: Indexer,
        *,
        base_url: str,
        zone: ZoneInfo,
        page_size: int,
        page_size_limit: int,
    ) -> None:
        """Take the registries, the server's base URL and zone, and the default and largest `_count`."""
        self._registry = registry
        self._indexer = indexer
        self._base_url = base_url.rstrip("/")
        self._zone = zone
        self._page_size = page_size
        self._page_size_limit = page_size_limit

    def parse(
        self,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        now: datetime,
        *,
        is_lenient: bool = False,
    ) -> Query:
        """Return the search ``resource_type?parameters``.

        Raises UnknownResourceTypeError, UnknownSearchParameterError (unless
        `is_lenient`) and MalformedSearchError.
        """
        if type_number(resource_type) is None:
            raise UnknownResourceTypeError(f"`{resource_type}` is not a resource type of FHIR R4")
        around = Surroundings(self._base_url, self._zone, now)
        result = ResultParameters(
            resource_type,
            self._known,
            self._references,
            page_size=self._page_size,
            page_size_limit=self._page_size_limit,
        )
        conditions: list[Condition] = []
        applied: list[tuple[str, str]] = []
        unknown: list[str] = []
        for name, value in parameters:
            _check_text(name, value)
            try:
                if split_name(name).code in RESULT_PARAMETERS:
                    result.read(name, value)
                else:
                    conditions.append(self._condition(resource_type, name, value, around))
            except UnknownSearchParameterError:
                if not is_lenient:
                    raise
                unknown.append(name)
            else:
                applied.append((name, value))
        return result.query(tuple(conditions), tuple(applied), tuple(unknown))

    def _condition(
        self, resource_type: str, name: str, value: str, around: Surroundings, depth: int = 0
    ) -> Condition:
        """Return the condition that ``name=value`` states on resources of type `resource_type`."""
        expression = f"{resource_type}.{name}"
        if not value:
            raise MalformedSearchError(f"Search parameter `{name}` has no value", expression=expression)
        if depth > _DEEPEST:
            raise MalformedSearchError(f"`{name}` is chained deeper than {_DEEPEST}", expression=expression)
        if name.startswith("_has:"):
            return self._has(resource_type, name, value, around, depth)
        parts = split_name(name)
        parameter = self._known(resource_type, parts.code, name)
        if parts.rest:
            return self._chain(parameter, parts.modifier, parts.rest, value, around, depth)
        try:
            return condition_of(parameter, parts.modifier, value, around)
        except ValueError as error:
            raise MalformedSearchError(
                f"Search parameter `{name}` of {resource_type}: {error}", expression=expression
            ) from error

    def _known(self, resource_type: str, code: str, name: str) -> SearchParameter:
        parameter = self._registry.of(resource_type).get(code)
        if parameter is None:
            raise UnknownSearchParameterError(
                f"Search parameter `{name}` is not defined for {resource_type}",
                expression=f"{resource_type}.{name}",
            )
        if not self._indexer.is_indexed(parameter):
            raise UnknownSearchParameterError(
                f"Search parameter `{name}` of {resource_type} is not supported",
                expression=f"{resource_type}.{name}",
            )
        return parameter

    def _references(self, resource_type: str) -> tuple[SearchParameter, ...]:
        return tuple(each for each in self._registry.of(resource_type).values() if each.type == "reference")

    def _chain(
        self,
        parameter: SearchParameter,
        modifier: str,
        rest: str,
        value: str,
        around: Surroundings,
        depth: int,
    ) -> Condition:
        """Read ``reference:Type.rest`` (https://hl7.org/fhir/R4/search.html#chaining)."""
        expression = f"{parameter.resource_type}.{parameter.code}.{rest}"
        if parameter.type != "reference":
            raise MalformedSearchError(
                f"`{parameter.code}` of {parameter.resource_type} is not a reference and cannot be chained",
                expression=expression,
            )
        if modifier and not is_target(parameter, modifier):
            raise unsupported_modifier(parameter, modifier)
        code = split_name(rest).code
        chains: list[Condition] = []
        for target in target_types(parameter, modifier):
            number = type_number(target)
            if number is None or not (modifier or code == "_has" or code in self._registry.of(target)):
                continue
            condition = self._condition(target, rest, value, around, depth + 1)
            chains.append(Chain(parameter.number, number, condition))
        if not chains:
            raise UnknownSearchParameterError(
                f"Search parameter `{rest}` is defined for no type that"
                f" `{parameter.code}` of {parameter.resource_type} refers to",
                expression=expression,
            )
        return chains[0] if len(chains) == 1 else AnyOf(tuple(chains))

    def _has(self, resource_type: str, name: str, value: str, around: Surroundings, depth: int) -> Condition:
        """Read ``_has:Type:reference:rest`` (https://hl7.org/fhir/R4/search.html#has)."""
        parts = name.split(":", _HAS_PARTS - 1)
        own = type_number(resource_type)
        source = type_number(parts[1])
        if len(parts) < _HAS_PARTS or own is None or source is None:
            raise MalformedSearchError(f"`{name}` is not _has:Type:reference:parameter", expression=name)
        referring = self._known(parts[1], parts[2], name)
        if referring.type != "reference" or not referring.may_target(resource_type):
            raise MalformedSearchError(
                f"`{parts[2]}` of {parts[1]} does not refer to {resource_type}", expression=name
            )
        condition = self._condition(parts[1], parts[3], value, around, depth + 1)
        return Has(referring.number, source, own, condition)


def _check_text(name: str, value: str) -> None:
    """Refuse what PostgreSQL's text cannot hold."""
    shown = name.encode("ascii", "ignore").decode().replace("\0", "") or "(parameter)"
    try:
        (name + value).encode()
    except UnicodeEncodeError as error:
        raise MalformedSearchError("A search parameter is not Unicode text", expression=shown) from error
    if "\0" in name + value:
        raise MalformedSearchError("A search parameter holds the character U+0000", expression=shown)
