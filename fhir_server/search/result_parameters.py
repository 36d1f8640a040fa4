"""The parameters that say how a search answers, not what it matches.

`_sort _count _include _revinclude _total _summary _elements _contained _containedType`,
and `_cursor`, which `next` links carry (https://hl7.org/fhir/R4/search.html#return). `_format`
and `_pretty` are for the router.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import SearchParameter, type_number
from fhir_server.index import phonetics
from fhir_server.index.contained import set_apart_numbers
from fhir_server.search.conditions import Condition
from fhir_server.search.query import (
    Contained,
    ContainedType,
    Include,
    Query,
    Readable,
    SortKey,
    Summary,
    Total,
)
from fhir_server.search.sort import SORTABLE
from fhir_server.search.syntax import split_list, split_name
from hie.core.errors import MalformedSearchError

RESULT_PARAMETERS: Final = frozenset(
    {
        "_contained",
        "_containedType",
        "_count",
        "_cursor",
        "_elements",
        "_format",
        "_include",
        "_pretty",
        "_revinclude",
        "_sort",
        "_summary",
        "_total",
    }
)
_TOTALS: Final[dict[str, Total]] = {"none": "none", "estimate": "estimate", "accurate": "accurate"}
_SUMMARIES: Final[dict[str, Summary]] = {
    "false": "false",
    "true": "true",
    "text": "text",
    "data": "data",
    "count": "count",
}
_CONTAINED: Final[dict[str, Contained]] = {"false": "false", "true": "true", "both": "both"}
_CONTAINED_TYPES: Final[dict[str, ContainedType]] = {"container": "container", "contained": "contained"}
_COLUMNS: Final = frozenset({"_id", "_lastUpdated"})
_T = TypeVar("_T")
# type:parameter:target
_INCLUDE_PARTS: Final = (2, 3)

# Looks up a parameter by type and code; raises UnknownSearchParameterError naming the third.
Known = Callable[[str, str, str], SearchParameter]
# Raises ForbiddenError for a parameter whose order would tell what is masked.
Check = Callable[[SearchParameter], None]
# The reference parameters of a type.
References = Callable[[str], tuple[SearchParameter, ...]]
# The parameters in whose rows the values of a parameter stand; none for its own.
Parts = Callable[[SearchParameter], tuple[SearchParameter, ...]]


class ResultParameters:
    """Collects the result parameters of one search."""

    def __init__(
        self,
        resource_type: str,
        known: Known,
        check: Check,
        references: References,
        parts_of: Parts,
        *,
        page_size: int,
        page_size_limit: int,
    ) -> None:
        """Take the type that is searched, the look-ups, and the default and largest `_count`."""
        self._references = references
        self._parts_of = parts_of
        self._type = resource_type
        self._known = known
        self._check = check
        self._limit = page_size_limit
        self._count = min(page_size, page_size_limit)
        self._sort: list[SortKey] = []
        self._includes: list[Include] = []
        self._total: Total = "none"
        self._summary: Summary = "false"
        self._elements: list[str] = []
        self._cursor: str | None = None
        self._contained: Contained = "false"
        self._contained_type: ContainedType = "container"

    def read(self, name: str, value: str) -> None:  # noqa: C901 - a case a parameter
        """Take one ``name=value``; raises MalformedSearchError or UnknownSearchParameterError."""
        parts = split_name(name)
        if parts.modifier and not (
            parts.code in {"_include", "_revinclude"} and parts.modifier in {"iterate", "recurse"}
        ):
            raise MalformedSearchError(f"`{parts.code}` has no modifier `:{parts.modifier}`", expression=name)
        match parts.code:
            case "_count":
                self._count = self._read_count(value)
            case "_sort":
                self._sort = [self._sort_key(each) for each in split_list(value)]
            case "_include" | "_revinclude":
                self._includes.append(
                    self._include(
                        value, is_reverse=parts.code == "_revinclude", is_iterated=bool(parts.modifier)
                    )
                )
            case "_total":
                self._total = _one_of("_total", value, _TOTALS)
            case "_summary":
                self._summary = _one_of("_summary", value, _SUMMARIES)
            case "_elements":
                self._elements = [each.removeprefix(f"{self._type}.") for each in split_list(value)]
            case "_cursor":
                self._cursor = value
            case "_contained":
                self._contained = _one_of("_contained", value, _CONTAINED)
            case "_containedType":
                self._contained_type = _one_of("_containedType", value, _CONTAINED_TYPES)

    @property
    def contained(self) -> Contained:
        """Whether contained resources are searched."""
        return self._contained

    def query(
        self,
        conditions: tuple[Condition, ...],
        applied: tuple[tuple[str, str], ...],
        unknown: tuple[str, ...],
        readable: Readable | None = None,
    ) -> Query:
        """Return the whole search; `readable` says what may come along, None for everything."""
        return Query(
            self._type,
            conditions,
            tuple(self._sort),
            self._count,
            tuple(self._includes),
            self._total,
            self._summary,
            tuple(self._elements),
            self._cursor,
            applied,
            unknown,
            readable,
        )

    def query_inside(self, query: Query, inside: tuple[Condition, ...], container: Readable) -> Query:
        """Return `query`, the whole search, as one of contained resources for which `inside` holds.

        `container` says what makes a container of a type one that may match.
        """
        return replace(
            query,
            sort=tuple(self._scoped(each) for each in query.sort),
            includes=tuple(replace(each, is_inside=True) for each in query.includes),
            contained=self._contained,
            contained_type=self._contained_type,
            inside=inside,
            container=container,
        )

    def _scoped(self, key: SortKey) -> SortKey:
        """Return `key` with the numbers under which the values of what is searched stand."""
        own = key.numbers if self._contained == "both" else ()
        return replace(key, numbers=(*own, *set_apart_numbers(key.numbers)))

    def _read_count(self, value: str) -> int:
        if not (value.isascii() and value.isdecimal()):
            raise MalformedSearchError(f"`_count` is `{value}`, not a whole number", expression="_count")
        # A server may return fewer than asked for (https://hl7.org/fhir/R4/search.html#count).
        return min(int(value[:9]), self._limit)

    def _sort_key(self, text: str) -> SortKey:
        is_descending = text.startswith("-")
        code = text.removeprefix("-")
        if code in _COLUMNS:
            return SortKey(code, None, (), is_descending)
        parameter = self._known(self._type, code, code)
        self._check(parameter)
        if parameter.type not in SORTABLE or code == phonetics.CODE:
            raise MalformedSearchError(
                f"Search parameter `{code}` is of type {parameter.type}, which has no order"
                if parameter.type not in SORTABLE
                else f"What `{code}` finds has no order",
                expression="_sort",
            )
        numbers = tuple(each.number for each in self._parts_of(parameter) or (parameter,))
        return SortKey(code, parameter.type, numbers, is_descending)

    def _referring(self) -> tuple[SearchParameter, ...]:
        """Return the parameters by which resources of any type may refer to the type that is searched."""
        return tuple(
            each
            for resource_type in R4_RESOURCE_TYPES
            for each in self._references(resource_type)
            if each.may_target(self._type)
        )

    def _include(self, value: str, *, is_reverse: bool, is_iterated: bool) -> Include:
        name = "_revinclude" if is_reverse else "_include"
        if value == "*" and is_reverse:
            return Include(value, self._referring(), "", is_reverse, is_iterated)
        if value == "*" and is_iterated:
            # From what was found it goes on by the references of whatever type that is.
            every = tuple(found for each in R4_RESOURCE_TYPES for found in self._references(each))
            return Include(value, every, "", is_reverse, is_iterated)
        parts = [self._type, "*"] if value == "*" else value.split(":")
        if len(parts) not in _INCLUDE_PARTS or type_number(parts[0]) is None:
            raise MalformedSearchError(
                f"`{name}={value}` is not Type:parameter or Type:parameter:Type", expression=name
            )
        target = parts[2] if len(parts) == _INCLUDE_PARTS[1] else ""
        if target and type_number(target) is None:
            raise MalformedSearchError(
                f"`{name}={value}`: `{target}` is not a resource type", expression=name
            )
        if parts[1] == "*":
            return Include(value, self._references(parts[0]), target, is_reverse, is_iterated)
        parameter = self._known(parts[0], parts[1], value)
        if parameter.type != "reference":
            raise MalformedSearchError(f"`{name}={value}`: `{parts[1]}` is not a reference", expression=name)
        return Include(value, (parameter,), target, is_reverse, is_iterated)


def _one_of(name: str, value: str, choices: Mapping[str, _T]) -> _T:
    if value not in choices:
        raise MalformedSearchError(f"`{name}` is `{value}`, not one of {', '.join(choices)}", expression=name)
    return choices[value]
