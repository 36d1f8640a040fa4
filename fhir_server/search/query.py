"""A search as it was asked: conditions, order, page and what comes with the matches.

https://hl7.org/fhir/R4/search.html#return
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.search.conditions import Condition

# What makes resources of a type readable, None for all of them.
Readable = Callable[[str], Condition | None]
Total = Literal["none", "estimate", "accurate"]
Summary = Literal["false", "true", "text", "data", "count"]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`; `type` is None for `_lastUpdated` and for `_id`, which `code` names.

    `numbers` are the parameters whose rows hold the values.
    """

    code: str
    type: str | None
    numbers: tuple[int, ...]
    is_descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`.

    `parameters` are the reference parameters to follow (more than one for ``*``);
    `target` is the type to keep, "" for any.
    """

    text: str
    parameters: tuple[SearchParameter, ...]
    target: str
    is_reverse: bool
    is_iterated: bool


@dataclass(frozen=True, slots=True)
class Query:
    """One search of resources of type `resource_type`, "" for a search of several types.

    `applied` are the parameters as they were understood, in order, for the
    `self` link; `unknown` the names that were ignored under lenient handling; `readable` says what
    may come along, None for everything.
    """

    resource_type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int = 20
    includes: tuple[Include, ...] = ()
    total: Total = "none"
    summary: Summary = "false"
    elements: tuple[str, ...] = ()
    cursor: str | None = None
    applied: tuple[tuple[str, str], ...] = field(default=())
    unknown: tuple[str, ...] = ()
    readable: Readable | None = field(default=None, compare=False)

    @property
    def is_by_version(self) -> bool:
        """Whether the matches are in the order of their versions, as they are without `_sort`."""
        return not self.sort or self.sort[0].code == "_lastUpdated"
