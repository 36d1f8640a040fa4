"""Searches of several types at once: ``GET [base]?_type=Patient,Practitioner&_tag=x``.

https://hl7.org/fhir/R4/http.html#search. A search of several types is the union of the
searches of each; here is what is asked of each, and what the whole is.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import type_number
from fhir_server.search.query import Query, SortKey
from fhir_server.search.syntax import split_list
from hie.core.errors import MalformedSearchError, UnknownSearchParameterError

# One look into the index for each type that there is, not a walk over all resources.
_STORED: Final = """
WITH RECURSIVE found (type) AS (
    (SELECT type FROM resource ORDER BY type LIMIT 1)
    UNION ALL
    SELECT (SELECT r.type FROM resource r WHERE r.type > found.type ORDER BY r.type LIMIT 1)
    FROM found WHERE found.type IS NOT NULL
) SELECT type FROM found WHERE type IS NOT NULL
"""


def types_of(parameters: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return the types that ``_type`` names, none for all, and the other parameters.

    Raises MalformedSearchError for what is no type of R4.
    """
    named = [value for name, value in parameters if name == "_type"]
    types = dict.fromkeys(each for value in named for each in split_list(value))
    for each in types:
        if type_number(each) is None:
            raise MalformedSearchError(
                f"`_type` has `{each}`, which is not a resource type of FHIR R4", expression="_type"
            )
    return tuple(types), [pair for pair in parameters if pair[0] != "_type"]


def stored_types(connection: Connection[tuple[Any, ...]]) -> tuple[str, ...]:
    """Return the types of which there are, or have been, resources."""
    return tuple(R4_RESOURCE_TYPES[row[0] - 1] for row in connection.execute(_STORED))


def parsed(types: Sequence[str], parse: Callable[[str], Query], *, is_strict: bool) -> list[Query]:
    """Return what `parse` makes of those of `types` for which it does not raise UnknownSearchParameterError.

    Raises that error where `parse` does so for all of `types`, with `is_strict` where it does for one.
    """
    queries: list[Query] = []
    unknown: UnknownSearchParameterError | None = None
    for each in types:
        try:
            queries.append(parse(each))
        except UnknownSearchParameterError as error:
            if is_strict:
                raise
            unknown = unknown or error
    if unknown is not None and not queries:
        raise unknown
    return queries


def of_use(queries: Sequence[Query]) -> list[Query]:
    """Return those of `queries` that know every search parameter that one of them knows; there may be none.

    Without a condition that others have, a type would be searched for more than was asked.
    """
    everywhere = set.intersection(*(_unknown_conditions(each) for each in queries))
    return [each for each in queries if _unknown_conditions(each) <= everywhere]


def _unknown_conditions(query: Query) -> set[str]:
    return {name for name in query.unknown if "=" not in name}


def merged(queries: Sequence[Query], parameters: Sequence[tuple[str, str]]) -> Query:
    """Return the search that `queries`, one a type, are together.

    A condition is unknown to it that all of them lack; `_sort` by what one of the types does not know is
    unknown to all. Raises MalformedSearchError for a `_sort` whose parameter is of different types.
    """
    first = queries[0]
    everywhere = set.intersection(*(_unknown_conditions(each) for each in queries))
    named = dict.fromkeys(name for each in queries for name in each.unknown)
    unknown = tuple(name for name in named if "=" in name or name in everywhere)
    is_sorted = not any(name.startswith("_sort=") for name in unknown)
    keys = zip(*(each.sort for each in queries), strict=True) if is_sorted else ()
    return replace(
        first,
        resource_type="",
        conditions=(),
        sort=tuple(_merged_key(each) for each in keys),
        applied=tuple(
            pair for pair in parameters if pair[0] not in unknown and f"{pair[0]}={pair[1]}" not in unknown
        ),
        unknown=unknown,
        behind={name: number for each in queries for name, number in each.behind.items()},
        is_told=any(each.is_told for each in queries),
    )


def _merged_key(keys: Sequence[SortKey]) -> SortKey:
    first = keys[0]
    if any(each.type != first.type for each in keys):
        raise MalformedSearchError(
            f"`_sort={first.code}` compares values of different types", expression="_sort"
        )
    return replace(first, numbers=tuple(number for each in keys for number in each.numbers))
