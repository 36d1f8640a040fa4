"""Search: parameters in, one page of resources out.

Holds no state but the compiled registries; works in the caller's transaction
and writes nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import type_number
from fhir_server.full_text.unindexed import MOST_COUNTED
from fhir_server.index.indexer import Indexer
from fhir_server.search import cursor as cursors
from fhir_server.search import system
from fhir_server.search.choice import choose
from fhir_server.search.compile import Bounds, Plan, SystemPlan
from fhir_server.search.conditions import Condition
from fhir_server.search.contained_page import read_any_page
from fhir_server.search.contained_plan import contained_plan
from fhir_server.search.cursor import IncludeCursor
from fhir_server.search.densities import Densities
from fhir_server.search.easing import eased
from fhir_server.search.facts import Facts
from fhir_server.search.include import Reach, read_included
from fhir_server.search.include_page import MOST_ROWS, read_included_page
from fhir_server.search.match import Match, Page
from fhir_server.search.page import count
from fhir_server.search.parse import Parser
from fhir_server.search.query import Query
from fhir_server.search.sql import Sql
from fhir_server.search.stored_look_up import StoredLookUp
from fhir_server.search.stored_parameters import StoredParameters
from fhir_server.search.subset import is_whole, subset
from hie.core.access import Filters
from hie.core.clock import Clock, SystemClock
from hie.core.db.database import Transaction
from hie.core.errors import Issue, TimedOutError, UnavailableError
from hie.core.masking import Masking, Unmasked
from hie.core.ports import SearchEntry, SearchPage, StoredResource
from hie.core.settings import Settings

AUDIT_EVENT: Final = "AuditEvent"
_NOTHING: Final = Page((), None)
_new = tuple.__new__
_INCOMPLETE: Final = Issue(
    "warning",
    "incomplete",
    f"More comes along than is shown: more than {MOST_ROWS:,} resources, or more steps of `:iterate` than"
    " the setting `include_depth` allows; ask for fewer matches by `_count`",
)
# The same whether or not something was left out, so that it tells nobody that something is there
# (`suppressed` of https://hl7.org/fhir/R4/valueset-issue-type.html).
_RESTRICTED: Final = Issue(
    "information",
    "suppressed",
    "This answer holds what the requester may see; more may exist that access rules or Consents withhold",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, the search as it was understood, and what the client should know about it."""

    query: Query
    page: SearchPage
    issues: tuple[Issue, ...]


class SearchService:
    """Answers searches; safe to share between threads.

    `indexer` is what resources must be written with, `stored_parameters` what keeps its registry, `facts`
    what is remembered of those that access rules ask for.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        indexer: Indexer | None = None,
        masking: Masking | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the settings, the clock that "ap" is relative to, and the indexer that writes use too.

        `masking` says what may not be searched by; `monotonic` measures, in seconds, how old is what is
        known of stored parameters.
        """
        indexer = indexer or Indexer(settings.base_url, settings.zone, has_full_text=settings.full_text)
        self.indexer = indexer
        self.stored_parameters = StoredParameters(indexer, monotonic=monotonic)
        self._parser = Parser(
            indexer,
            base_url=settings.base_url,
            zone=settings.zone,
            page_size=settings.page_size,
            page_size_limit=settings.page_size_limit,
        )
        self._clock = clock or SystemClock()
        self._masking = masking or Unmasked()
        self._densities = Densities(monotonic)
        self.facts = Facts(monotonic)
        self._reach = Reach(settings.include_limit, settings.include_depth)
        self.trail: Callable[[Transaction, Query, Filters | None], Answer] | None = None
        """What answers searches of AuditEvent, where there is an audit trail."""

    def search(
        self,
        transaction: Transaction,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        *,
        filters: Filters | None = None,
    ) -> SearchPage:
        """Return one page of ``resource_type?parameters``, as `hie.core.ports.ResourceStore.search`.

        Only what `filters` let through is found, included or chained through; None is everything.
        Unknown parameters are errors. Raises RequestError, and TimedOutError
        when the database's statement time-out ends the search.
        """
        return self.answer(transaction, resource_type, parameters, filters=filters).page

    def selection(
        self,
        transaction: Transaction,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        *,
        filters: Filters | None = None,
    ) -> Sql:
        """Return a SELECT of (rid, seq), each once and in no order, of all that match.

        Parameters that say how a search answers are without effect. Raises as `search`, and
        UnavailableError where the full-text index is so far behind that matches would be missing.
        """
        query = self._parse(transaction, resource_type, parameters, filters=filters)
        for issue in _behind(query):
            raise UnavailableError(f"{issue.message}; try again later")
        number = type_number(resource_type) or 0
        chosen = choose(transaction.connection, number, query.conditions, self._densities, is_whole=True)
        return chosen.all(Bounds())

    def rule(self, transaction: Transaction, resource_type: str, filters: Filters) -> Condition | None:
        """Return what `filters` let through of `resource_type`; None for everything.

        The same object each time, as long as a policy returns the same answer.
        """
        self.stored_parameters.refresh(transaction.connection)
        return self._parser.rule(
            resource_type, filters, self._clock.now(), StoredLookUp(transaction.connection)
        )

    def answer(
        self,
        transaction: Transaction,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        *,
        is_lenient: bool = False,
        filters: Filters | None = None,
        within: Filters | None = None,
    ) -> Answer:
        """Return one page with what the client should know about it; `filters` and errors as in `search`.

        `resource_type` is "" for a search of all types, or of those that ``_type`` names; `within` narrows
        the matches, and not what comes along, to those of a compartment.
        With `is_lenient`, unknown parameters are left out and named in the
        issues (https://hl7.org/fhir/R4/search.html#errors).
        """
        try:
            if not resource_type:
                return self._answer_system(
                    transaction, parameters, is_lenient=is_lenient, filters=filters, within=within
                )
            query = self._parse(
                transaction, resource_type, parameters, is_lenient=is_lenient, filters=filters, within=within
            )
            if resource_type == AUDIT_EVENT and self.trail is not None:
                return self.trail(transaction, query, filters)
            if query.contained != "false":
                return self._answer(transaction, query, self._contained_plan(transaction, [query]))
            number = type_number(resource_type) or 0
            chosen = choose(
                transaction.connection,
                number,
                query.conditions,
                self._densities,
                is_whole=not query.is_by_version or query.is_counted,
            )
            return self._answer(transaction, query, chosen)
        except psycopg.errors.QueryCanceled as error:
            raise TimedOutError(
                f"The search of {resource_type or 'all types'} takes longer than the server allows;"
                " add a parameter that selects less, or ask for no `_sort` and no `_total`"
            ) from error

    def _answer_system(
        self,
        transaction: Transaction,
        parameters: Sequence[tuple[str, str]],
        *,
        is_lenient: bool,
        filters: Filters | None,
        within: Filters | None,
    ) -> Answer:
        """Return one page of a search of all types, less those that lack a parameter that others have."""
        types, others = system.types_of(parameters)
        stored = system.stored_types(transaction.connection)
        inside = (R4_RESOURCE_TYPES[number - 1] for number in sorted(self.indexer.contained_types))
        parsed = system.parsed(
            types or tuple(dict.fromkeys((*stored, *inside))) or ("Basic",),
            lambda each: self._parse(
                transaction, each, others, is_lenient=is_lenient, filters=filters, within=within
            ),
            is_strict=bool(types) and not is_lenient,
        )
        queries = system.of_use(parsed)
        whole = system.merged(queries or parsed, parameters)
        if types:
            searched = {each.resource_type for each in queries}
            whole = replace(whole, left_out=tuple(each for each in types if each not in searched))
        if queries and whole.contained != "false":
            return self._answer(transaction, whole, self._contained_plan(transaction, queries))
        plans = self._plans(transaction, [each for each in queries if each.resource_type in stored])
        return self._answer(transaction, whole, SystemPlan(plans))

    def _plans(self, transaction: Transaction, queries: Sequence[Query]) -> tuple[Plan, ...]:
        return tuple(
            choose(
                transaction.connection,
                type_number(each.resource_type) or 0,
                each.conditions,
                self._densities,
                is_whole=not each.is_by_version or each.is_counted,
            )
            for each in queries
        )

    def _contained_plan(self, transaction: Transaction, queries: Sequence[Query]) -> SystemPlan:
        return contained_plan(
            transaction.connection,
            queries,
            self._plans(transaction, [each for each in queries if each.contained == "both"]),
            self._densities,
        )

    def _parse(
        self,
        transaction: Transaction,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        *,
        is_lenient: bool = False,
        filters: Filters | None = None,
        within: Filters | None = None,
    ) -> Query:
        self.stored_parameters.refresh(transaction.connection)
        look_up = StoredLookUp(transaction.connection)
        query = self._parser.parse(
            resource_type,
            parameters,
            self._clock.now(),
            is_lenient=is_lenient,
            filters=filters,
            within=within,
            look_up=look_up,
            mask=self._masking.mask(transaction.requester),
        )
        if filters is not None:
            query = eased(transaction, query, self.indexer.registry.of(resource_type), self.facts)
        is_told = filters is not None and filters(resource_type).is_told
        if look_up.behind or is_told:
            return replace(query, behind=look_up.behind, is_told=is_told)
        return query

    def _answer(self, transaction: Transaction, query: Query, chosen: Plan | SystemPlan) -> Answer:
        connection = transaction.connection
        search = cursors.canonical_form(query.resource_type, query.applied)
        behind = None if query.cursor is None else cursors.decode(query.cursor, search)
        if isinstance(behind, IncludeCursor):
            return self._more_included(connection, query, behind, search)
        is_count_only = query.is_count_only
        page = _NOTHING if is_count_only else read_any_page(connection, chosen, query, behind)
        total = None
        if query.is_counted:
            total = count(connection, chosen, may_estimate=query.total == "estimate")
        elif behind is None and page.next is None:
            total = len(page.matches)  # known for nothing
        following = None if page.next is None else cursors.encode(page.next, search)
        entries = _entries(query, page.matches, "match")
        issues = _unknown(query) + _behind(query) + ((_RESTRICTED,) if query.is_told else ())
        if query.includes and page.matches:
            included = read_included(connection, page.matches, query.includes, self._reach, query.readable)
            if not included.is_complete:
                rids = tuple(match.rid for match in page.matches)
                more = self._more_included(connection, query, IncludeCursor(rids, None, following), search)
                entries += more.page.entries
                return Answer(
                    query, SearchPage(tuple(entries), more.page.next_cursor, total), issues + more.issues
                )
            entries += _entries(query, included.resources, "include")
        return Answer(query, SearchPage(tuple(entries), following, total), issues)

    def _more_included(
        self, connection: Connection[tuple[Any, ...]], query: Query, behind: IncludeCursor, search: str
    ) -> Answer:
        """Return the page of what comes along behind `behind`; then the matches go on."""
        page = read_included_page(
            connection, behind.rids, query.includes, self._reach, query.readable, behind.after
        )
        following = behind.following
        if page.after is not None:
            following = cursors.encode(IncludeCursor(behind.rids, page.after, following), search)
        entries = tuple(_entries(query, page.resources, "include"))
        issues = () if page.is_complete else (_INCOMPLETE,)
        return Answer(query, SearchPage(entries, following, None), issues)


def _entries(query: Query, matches: Sequence[Match], mode: str) -> list[SearchEntry]:
    # `_elements` names elements of the type that is searched; what comes along stays whole.
    if not (is_whole(query) or (bool(query.elements) and mode == "include")):
        matches = [each._replace(body=subset(each.body, each.type, query)) for each in matches]
    # A match is its row, what `StoredResource` has, in that order, and what contains it. `_new` is what a
    # call of the classes does, without the Python function in between.
    return [_new(SearchEntry, (_new(StoredResource, match[1:6]), mode, match.container)) for match in matches]


def _unknown(query: Query) -> tuple[Issue, ...]:
    searched = query.resource_type or "these types"
    ignored = (
        Issue(
            "warning",
            "not-supported",
            f"`{name}` names a search parameter that is not known and was ignored"
            if "=" in name
            else f"Search parameter `{name}` is not known for {searched} and was ignored",
            f"{query.resource_type}.{name.partition('=')[0]}".lstrip("."),
        )
        for name in query.unknown
    )
    unsearched = (
        Issue(
            "warning",
            "not-supported",
            f"{name} was not searched: it lacks a parameter that other types have",
            "_type",
        )
        for name in query.left_out
    )
    return (*ignored, *unsearched)


def _behind(query: Query) -> tuple[Issue, ...]:
    return tuple(
        Issue(
            "warning",
            "incomplete",
            f"The full-text index is behind by {_number(count)} {name} resources,"
            " which `_text` and `_content` do not find yet",
        )
        for name, count in query.behind.items()
    )


def _number(count: int) -> str:
    return f"more than {MOST_COUNTED:,}" if count > MOST_COUNTED else f"{count:,}"
