"""Search of AuditEvent: the trail's records and the AuditEvents that clients stored, as one.

The trail is not in the index tables of the repository. Its own columns narrow a search (patient, agent,
entity, date, action, _id); what is left is rendered and compared by the very conditions that the
search compiles to, access included, by the rows that an ordinary AuditEvent would have in the index. So
every search parameter means here what it means elsewhere. Order is that of time; `_include` and chains are
for resources of the index and are refused here.
"""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from fhir_server.audit.narrowing import narrowed
from fhir_server.audit.stored import Candidate, candidates
from fhir_server.index.indexer import Indexer
from fhir_server.search.query import Query
from fhir_server.search.service import Answer
from fhir_server.search.subset import is_whole, subset
from fhir_server.store.identity import is_id
from fhir_server.subscriptions.holds import Version, all_hold
from hie.core.access import Filters
from hie.core.audit.event import render
from hie.core.audit.queries import Place, read
from hie.core.db.database import Transaction
from hie.core.errors import Issue, MalformedSearchError, RequestError, TimedOutError
from hie.core.fhir.json import JsonObject, dumps
from hie.core.ports import SearchEntry, SearchPage, StoredResource

TYPE: Final = "AuditEvent"

_PIECE: Final = 200
# A page ends early when so many records were looked at in vain: the client goes on behind them.
_MOST_READ: Final = 5_000
# Counting looks at every record that the columns leave over.
_MOST_COUNTED: Final = 100_000
_CURSOR: Final = re.compile(r"(-?[0-9]{1,18})-([0-9]{1,18})-([01])", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Search:
    query: Query
    filters: Filters | None
    is_descending: bool


class TrailSearch:
    """Answers searches of AuditEvent."""

    def __init__(self, indexer: Indexer, base_url: str) -> None:
        """Take what resources are indexed with, and the base URL that references may begin with."""
        self._indexer = indexer
        self._base_url = base_url.rstrip("/")

    def answer(self, transaction: Transaction, query: Query, filters: Filters | None) -> Answer:
        """Return one page; raises RequestError for what the trail cannot be asked."""
        search = _Search(query, filters, _is_descending(query))
        if query.includes:
            raise RequestError("AuditEvent is searched without `_include` and `_revinclude`")
        issues = tuple(_unknown(name) for name in query.unknown)
        if query.is_count_only:
            return Answer(query, SearchPage((), None, self._count(transaction, search)), issues)
        found, following = self._page(transaction, search, _read_cursor(query.cursor))
        entries = tuple(SearchEntry(_resource(each, query), "match") for each in found)
        total = self._count(transaction, search) if query.is_counted else None
        if total is None and query.cursor is None and following is None:
            total = len(entries)
        return Answer(query, SearchPage(entries, following, total), issues)

    def _page(
        self, transaction: Transaction, search: _Search, behind: "_Behind | None"
    ) -> tuple[list[Candidate], str | None]:
        found: list[Candidate] = []
        for number, each in enumerate(self._candidates(transaction, search, behind), start=1):
            if self._matches(each, search.query):
                if len(found) == search.query.count:
                    return found, _cursor(found[-1])
                found.append(each)
            if number == _MOST_READ:
                return found, _cursor(each)
        return found, None

    def _count(self, transaction: Transaction, search: _Search) -> int:
        total = 0
        for number, each in enumerate(self._candidates(transaction, search, None), start=1):
            if number > _MOST_COUNTED:
                raise TimedOutError(
                    f"More than {_MOST_COUNTED:,} records would have to be counted; narrow the search by"
                    " `patient`, `agent`, `entity` or `date`"
                )
            total += self._matches(each, search.query)
        return total

    def _candidates(
        self, transaction: Transaction, search: _Search, behind: "_Behind | None"
    ) -> Iterator[Candidate]:
        """Yield records and stored AuditEvents that may match, in the order of time."""
        chained = self._chained(transaction, search, behind)
        stored = candidates(
            transaction, behind.of_stored if behind else None, is_descending=search.is_descending
        )
        return _merged(chained, stored, is_descending=search.is_descending)

    def _chained(
        self, transaction: Transaction, search: _Search, behind: "_Behind | None"
    ) -> Iterator[Candidate]:
        wanted = narrowed(search.query.applied, search.filters, self._base_url)
        place = behind.of_chained if behind else None
        while True:
            rows = read(transaction, wanted, behind=place, limit=_PIECE, is_descending=search.is_descending)
            for row in rows:
                yield Candidate(row.place, is_stored=False, resource=render(row.body))
            if len(rows) < _PIECE:
                return
            place = rows[-1].place

    def _matches(self, candidate: Candidate, query: Query) -> bool:
        resource = candidate.resource
        version = Version(
            TYPE,
            resource["id"],
            int(resource["meta"]["versionId"]),
            datetime.fromisoformat(resource["meta"]["lastUpdated"]),
            resource,
            self._indexer.index(resource),
        )
        holds = all_hold(query.conditions, version)
        if holds is None:
            raise RequestError("AuditEvent is searched by its own parameters, without chains")
        return holds


@dataclass(frozen=True, slots=True)
class _Behind:
    """Behind which record a page begins; of one instant, stored AuditEvents are newer than records."""

    place: Place
    is_stored: bool

    @property
    def of_chained(self) -> Place:
        """The place among the records: behind a stored one, all of its instant are older."""
        return Place(self.place.recorded, _LAST) if self.is_stored else self.place

    @property
    def of_stored(self) -> Place:
        """The place among the stored: before a record, all of its instant are newer."""
        return self.place if self.is_stored else Place(self.place.recorded, _FIRST)


_LAST: Final = 2**62
_FIRST: Final = -1


def _merged(
    chained: Iterator[Candidate], stored: Iterator[Candidate], *, is_descending: bool
) -> Iterator[Candidate]:
    def key(each: Candidate) -> tuple[datetime, bool, int]:
        return each.place.recorded, each.is_stored, each.place.seq

    return heapq.merge(chained, stored, key=key, reverse=is_descending)


def _only_id(query: Query) -> str | None:
    """Return the id that the search is for, None where it is for several or any."""
    ids = [value for name, value in query.applied if name == "_id"]
    return ids[0] if len(ids) == 1 and is_id(ids[0]) else None


def _is_descending(query: Query) -> bool:
    """Say whether the newest come first, as they do unless `_sort` says otherwise."""
    if not query.sort:
        return True
    if len(query.sort) > 1 or query.sort[0].code not in ("date", "_lastUpdated"):
        raise RequestError("AuditEvent is sorted by `date` or `_lastUpdated` only", expression="_sort")
    return query.sort[0].is_descending


def _read_cursor(text: str | None) -> _Behind | None:
    if text is None:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise MalformedSearchError("The cursor is not one of this search", expression="_cursor")
    try:
        recorded = _EPOCH + int(found[1]) * _MICROSECOND
    except OverflowError as error:
        raise MalformedSearchError("The cursor is not one of this search", expression="_cursor") from error
    return _Behind(Place(recorded, int(found[2])), found[3] == "1")


def _cursor(last: Candidate) -> str:
    return f"{(last.place.recorded - _EPOCH) // _MICROSECOND}-{last.place.seq}-{int(last.is_stored)}"


def _resource(candidate: Candidate, query: Query) -> StoredResource:
    resource: JsonObject = candidate.resource
    body = dumps(resource)
    if not is_whole(query):
        body = subset(body, TYPE, query)
    updated = datetime.fromisoformat(resource["meta"]["lastUpdated"])
    return StoredResource(TYPE, resource["id"], int(resource["meta"]["versionId"]), updated, body)


def _unknown(name: str) -> Issue:
    text = f"Search parameter `{name}` is not known for AuditEvent and was ignored"
    return Issue("warning", "not-supported", text, f"AuditEvent.{name.partition('=')[0]}")
