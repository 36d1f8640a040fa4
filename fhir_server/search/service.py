"""Search: parameters in, one page of resources out.

Holds no state but the compiled registries; works in the caller's transaction
and writes nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import Connection

from fhir_server.definitions.search_parameters import type_number
from fhir_server.index.indexer import Indexer
from fhir_server.search import cursor as cursors
from fhir_server.search import system
from fhir_server.search.compile import Bounds, Plan, SystemPlan
from fhir_server.search.cursor import IncludeCursor
from fhir_server.search.densities import Densities
from fhir_server.search.include import read_included
from fhir_server.search.include_page import MOST_ROWS, read_included_page
from fhir_server.search.match import Match, Page
from fhir_server.search.page import count, plan, read_page
from fhir_server.search.parse import Parser
from fhir_server.search.query import Query
from fhir_server.search.sql import Sql
from fhir_server.search.stored_look_up import StoredLookUp
from fhir_server.search.stored_parameters import StoredParameters
from fhir_server.search.subset import is_whole, subset
from hie.core.access import Filters
from hie.core.clock import Clock, SystemClock
from hie.core.db.database import Transaction
from hie.core.errors import Issue, TimedOutError
from hie.core.ports import SearchEntry, SearchPage, StoredResource
from hie.core.settings import Settings

_NOTHING: Final = Page((), None)
_INCOMPLETE: Final = Issue(
    "warning",
    "incomplete",
    f"More than {MOST_ROWS} resources are included; ask for fewer matches by `_count`",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, the search as it was understood, and what the client should know about it."""

    query: Query
    page: SearchPage
    issues: tuple[Issue, ...]


class SearchService:
    """Answers searches; safe to share between threads.

    `indexer` is what resources must be written with, `stored_parameters` what keeps its registry.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        indexer: Indexer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the settings, the clock that "ap" is relative to, and the indexer that writes use too.

        `monotonic` measures, in seconds, how old is what is known of stored parameters.
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
        self._densities = Densities(monotonic)
        self._include_limit = settings.page_size_limit

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

        Parameters that say how a search answers are without effect. Raises as `search`.
        """
        query = self._parse(transaction, resource_type, parameters, filters=filters)
        number = type_number(resource_type) or 0
        return plan(transaction.connection, number, query.conditions, self._densities).all(Bounds())

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
            number = type_number(resource_type) or 0
            chosen = plan(
                transaction.connection,
                number,
                query.conditions,
                self._densities,
                is_sorted=not query.is_by_version,
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
        """Return one page of a search of all types; every parameter must be one of each."""
        types, others = system.types_of(parameters)
        stored = system.stored_types(transaction.connection)
        queries = [
            self._parse(transaction, each, others, is_lenient=is_lenient, filters=filters, within=within)
            for each in types or stored or ("Basic",)
        ]
        plans = [
            plan(
                transaction.connection,
                type_number(each.resource_type) or 0,
                each.conditions,
                self._densities,
            )
            for each in queries
            if each.resource_type in stored
        ]
        return self._answer(transaction, system.merged(queries, parameters), SystemPlan(tuple(plans)))

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
        return self._parser.parse(
            resource_type,
            parameters,
            self._clock.now(),
            is_lenient=is_lenient,
            filters=filters,
            within=within,
            look_up=StoredLookUp(transaction.connection),
        )

    def _answer(self, transaction: Transaction, query: Query, chosen: Plan | SystemPlan) -> Answer:
        connection = transaction.connection
        search = cursors.canonical_form(query.resource_type, query.applied)
        behind = None if query.cursor is None else cursors.decode(query.cursor, search)
        if isinstance(behind, IncludeCursor):
            return self._more_included(connection, query, behind, search)
        is_count_only = query.summary == "count" or query.count == 0
        page = _NOTHING if is_count_only else read_page(connection, chosen, query, behind)
        total = None
        if is_count_only or query.total != "none":
            total = count(connection, chosen, may_estimate=query.total == "estimate")
        elif behind is None and page.next is None:
            total = len(page.matches)  # known for nothing
        following = None if page.next is None else cursors.encode(page.next, search)
        entries = [_entry(query, match, "match") for match in page.matches]
        issues = _unknown(query)
        if query.includes and page.matches:
            included = read_included(
                connection, page.matches, query.includes, self._include_limit, query.readable
            )
            if not included.is_complete:
                rids = tuple(match.rid for match in page.matches)
                more = self._more_included(connection, query, IncludeCursor(rids, None, following), search)
                entries += more.page.entries
                return Answer(
                    query, SearchPage(tuple(entries), more.page.next_cursor, total), issues + more.issues
                )
            entries += [_entry(query, match, "include") for match in included.resources]
        return Answer(query, SearchPage(tuple(entries), following, total), issues)

    def _more_included(
        self, connection: Connection[tuple[Any, ...]], query: Query, behind: IncludeCursor, search: str
    ) -> Answer:
        """Return the page of what comes along behind `behind`; then the matches go on."""
        page = read_included_page(
            connection, behind.rids, query.includes, self._include_limit, query.readable, behind.after
        )
        following = behind.following
        if page.after is not None:
            following = cursors.encode(IncludeCursor(behind.rids, page.after, following), search)
        entries = tuple(_entry(query, match, "include") for match in page.resources)
        issues = () if page.is_complete else (_INCOMPLETE,)
        return Answer(query, SearchPage(entries, following, None), issues)


def _entry(query: Query, match: Match, mode: str) -> SearchEntry:
    # `_elements` names elements of the type that is searched; what comes along stays whole.
    stays_whole = is_whole(query) or (bool(query.elements) and mode == "include")
    body = match.body if stays_whole else subset(match.body, match.type, query)
    return SearchEntry(StoredResource(match.type, match.id, match.version, match.last_updated, body), mode)


def _unknown(query: Query) -> tuple[Issue, ...]:
    searched = query.resource_type or "these types"
    return tuple(
        Issue(
            "warning",
            "not-supported",
            f"Search parameter `{name}` is not known for {searched} and was ignored",
            f"{query.resource_type}.{name}".lstrip("."),
        )
        for name in query.unknown
    )
