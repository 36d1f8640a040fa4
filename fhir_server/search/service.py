"""Search: parameters in, one page of resources out.

Holds no state but the compiled registries; works in the caller's transaction
and writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from fhir_server.definitions.search_parameters import SearchParameterRegistry, load_registry, type_number
from fhir_server.index.indexer import Indexer
from fhir_server.search import cursor as cursors
from fhir_server.search.include import Included, read_included
from fhir_server.search.match import Match, Page
from fhir_server.search.page import count, plan, read_page
from fhir_server.search.parse import Parser
from fhir_server.search.query import Query
from fhir_server.search.subset import is_whole, subset
from hie.core.clock import Clock, SystemClock
from hie.core.db.database import Transaction
from hie.core.errors import Issue, TimedOutError
from hie.core.ports import SearchEntry, SearchPage, StoredResource
from hie.core.settings import Settings

_NOTHING: Final = Page((), None)
_NONE_INCLUDED: Final = Included((), is_complete=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, the search as it was understood, and what the client should know about it."""

    query: Query
    page: SearchPage
    issues: tuple[Issue, ...]


class SearchService:
    """Answers searches; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        registry: SearchParameterRegistry | None = None,
    ) -> None:
        """Take the settings, the clock that "ap" is relative to, and the registry; R4's by default."""
        registry = registry or load_registry()
        self._parser = Parser(
            registry,
            Indexer(settings.base_url, settings.zone, registry=registry),
            base_url=settings.base_url,
            zone=settings.zone,
            page_size=settings.page_size,
            page_size_limit=settings.page_size_limit,
        )
        self._clock = clock or SystemClock()
        self._include_limit = settings.page_size_limit

    def search(
        self, transaction: Transaction, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> SearchPage:
        """Return one page of ``resource_type?parameters``, as `hie.core.ports.ResourceStore.search`.

        Unknown parameters are errors. Raises RequestError, and TimedOutError
        when the database's statement time-out ends the search.
        """
        return self.answer(transaction, resource_type, parameters).page

    def answer(
        self,
        transaction: Transaction,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        *,
        is_lenient: bool = False,
    ) -> Answer:
        """Return one page with what the client should know about it; raises as `search` does.

        With `is_lenient`, unknown parameters are left out and named in the
        issues (https://hl7.org/fhir/R4/search.html#errors).
        """
        query = self._parser.parse(resource_type, parameters, self._clock.now(), is_lenient=is_lenient)
        try:
            return self._answer(transaction, query)
        except psycopg.errors.QueryCanceled as error:
            raise TimedOutError(
                f"The search of {resource_type} takes longer than the server allows;"
                " add a parameter that selects less, or ask for no `_sort` and no `_total`"
            ) from error

    def _answer(self, transaction: Transaction, query: Query) -> Answer:
        connection = transaction.connection
        search = cursors.canonical_form(query.resource_type, query.applied)
        behind = None if query.cursor is None else cursors.decode(query.cursor, search)
        number = type_number(query.resource_type) or 0
        chosen = plan(connection, number, query.conditions)
        is_count_only = query.summary == "count" or query.count == 0
        page = _NOTHING if is_count_only else read_page(connection, chosen, query, behind)
        included = _NONE_INCLUDED
        if query.includes and page.matches:
            included = read_included(connection, page.matches, query.includes, self._include_limit)
        total = None
        if is_count_only or query.total != "none":
            total = count(connection, chosen, may_estimate=query.total == "estimate")
        entries = [_entry(query, query.resource_type, match, "match") for match in page.matches]
        entries += [_entry(query, kind, match, "include") for kind, match in included.resources]
        following = None if page.next is None else cursors.encode(page.next, search)
        return Answer(query, SearchPage(tuple(entries), following, total), _issues(query, included))


def _entry(query: Query, resource_type: str, match: Match, mode: str) -> SearchEntry:
    # `_elements` names elements of the type that is searched; what comes along stays whole.
    stays_whole = is_whole(query) or (bool(query.elements) and mode == "include")
    body = match.body if stays_whole else subset(match.body, resource_type, query)
    return SearchEntry(StoredResource(resource_type, match.id, match.version, match.last_updated, body), mode)


def _issues(query: Query, included: Included) -> tuple[Issue, ...]:
    found = [
        Issue(
            "warning",
            "not-supported",
            f"Search parameter `{name}` is not known for {query.resource_type} and was ignored",
            f"{query.resource_type}.{name}",
        )
        for name in query.unknown
    ]
    if not included.is_complete:
        found.append(
            Issue(
                "warning",
                "incomplete",
                f"More resources are included than the {len(included.resources)} shown;"
                " ask for fewer matches by `_count`",
            )
        )
    return tuple(found)
