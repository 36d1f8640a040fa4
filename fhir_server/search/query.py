"""A search as it was asked: conditions, order, page and what comes with the matches.

https://hl7.org/fhir/R4/search.html#return
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.search.conditions import Condition

# What makes resources of a type readable, None for all of them.
Readable = Callable[[str], Condition | None]
Total = Literal["none", "estimate", "accurate"]
Summary = Literal["false", "true", "text", "data", "count"]
Contained = Literal["false", "true", "both"]
ContainedType = Literal["container", "contained"]


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
    `target` is the type to keep, "" for any; `is_inside` says that what contained resources refer to
    comes along too.
    """

    text: str
    parameters: tuple[SearchParameter, ...]
    target: str
    is_reverse: bool
    is_iterated: bool
    is_inside: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One search of resources of type `resource_type`, "" for a search of several types.

    `applied` are the parameters as they were understood, in order, for the
    `self` link; `unknown` the names that were ignored under lenient handling, of parameters that say how to
    answer with their values; `left_out` the types that were asked for but lack a parameter that others
    have; `readable` says what
    may come along, None for everything; `behind` how many resources of a type full text cannot find yet.
    `is_told` has the answer say that something may be left out.
    `inside` are the conditions on contained resources, `container` what makes their containers readable.
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
    behind: Mapping[str, int] = field(default_factory=dict, compare=False)

    contained: Contained = "false"
    contained_type: ContainedType = "container"
    inside: tuple[Condition, ...] = ()
    container: Readable | None = field(default=None, compare=False)
    left_out: tuple[str, ...] = ()
    is_told: bool = False

    @property
    def is_by_version(self) -> bool:
        """Whether the matches are in the order of their versions, as they are without `_sort`."""
        return not self.sort or self.sort[0].code == "_lastUpdated"

    @property
    def is_count_only(self) -> bool:
        """Whether nothing but the number of matches is wanted."""
        return self.summary == "count" or self.count == 0

    @property
    def is_counted(self) -> bool:
        """Whether all matches are counted."""
        return self.is_count_only or self.total != "none"
