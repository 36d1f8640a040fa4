"""The subscriptions that the server works, for an operator: `hie.core.oversight.SubscriptionOversight`.

The access policy is asked for "$dead-letters" and "$redrive", and the repository whether a Subscription may
be read. What is shown are no headers, no criteria's values and no path of an endpoint: they may hold
secrets, and names of patients.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from fhir_server.service import Repository
from fhir_server.subscriptions import inquiry, journal, queries
from fhir_server.subscriptions.definition import read_definition
from fhir_server.subscriptions.inquiry import TYPE
from fhir_server.subscriptions.queries import Listed
from hie.core.access import Attempt
from hie.core.db.database import Transaction
from hie.core.errors import InvalidResourceError, NotFoundError
from hie.core.fhir.json import JsonObject
from hie.core.oversight import PendingEvent, SubscriptionSummary

# Pages of the list that are read on, where what was found may not be read.
_BATCH: Final = 200


class WorkedSubscriptions:
    """Shows subscriptions with what waits for them, and has them told of it."""

    def __init__(self, repository: Repository) -> None:
        """Take the repository of the Subscriptions."""
        self._repository = repository

    def counts(self, transaction: Transaction) -> Mapping[str, int]:
        """Return how many subscriptions are in each status, readable or not."""
        self._decide(transaction)
        return queries.counts(transaction)

    def subscriptions(
        self, transaction: Transaction, *, statuses: Collection[str], after: str | None, limit: int
    ) -> Sequence[SubscriptionSummary]:
        """Return subscriptions that may be read, by id."""
        self._decide(transaction)
        found: list[SubscriptionSummary] = []
        while len(found) < limit:
            listed = queries.by_id(transaction, statuses=statuses, after=after, limit=_BATCH)
            readable = self._readable(transaction, listed)
            found += [_summary(each) for each in listed if each.id in readable]
            if len(listed) < _BATCH:
                break
            after = listed[-1].id
        return found[:limit]

    def subscription(self, transaction: Transaction, identity: str) -> SubscriptionSummary:
        """Return one subscription; raises NotFoundError."""
        return _summary(self._one(transaction, identity))

    def pending(
        self, transaction: Transaction, identity: str, *, after: int, limit: int
    ) -> Sequence[PendingEvent]:
        """Return events that wait, in order; those kept no longer are left out. Raises NotFoundError."""
        listed = self._one(transaction, identity)
        first = max(after, listed.delivered) + 1
        events = journal.events(transaction, identity, first, listed.event_count, limit=limit)
        return [PendingEvent(*each) for each in events]

    def redrive(self, transaction: Transaction, identity: str, *, skip: int) -> SubscriptionSummary:
        """Have a subscription in error told of what waits; raises NotFoundError, ConflictError."""
        self._repository.decide(transaction, Attempt("$redrive", TYPE, identity))
        inquiry.redrive(self._repository, transaction, identity, skip=skip)
        return self.subscription(transaction, identity)

    def _readable(self, transaction: Transaction, listed: Sequence[Listed]) -> set[str]:
        if not listed:
            return set()
        found = self._repository.read_all(transaction, [(TYPE, each.id) for each in listed])
        return {each.id for each in found}

    def _one(self, transaction: Transaction, identity: str) -> Listed:
        self._decide(transaction)
        self._repository.read(transaction, TYPE, identity)
        listed = queries.one(transaction, identity)
        if listed is None:
            raise NotFoundError(f"The server does not work `{TYPE}/{identity}`")
        return listed

    def _decide(self, transaction: Transaction) -> None:
        self._repository.decide(transaction, Attempt("$dead-letters", TYPE))


def _summary(listed: Listed) -> SubscriptionSummary:
    return SubscriptionSummary(
        listed.id,
        listed.status,
        listed.channel,
        _about(listed.resource),
        _origin(listed.resource),
        listed.event_count,
        listed.pending,
        listed.attempts,
        listed.error,
        listed.activated_at,
        listed.failed_at,
        listed.due_at,
        listed.ends_at,
    )


def _about(resource: JsonObject) -> str:
    """Return the topic, or the type that the criteria search; nothing of a definition that is not valid."""
    try:
        definition = read_definition(resource)
    except InvalidResourceError:
        return ""
    return definition.topic or definition.criteria.partition("?")[0]


def _origin(resource: JsonObject) -> str:
    """Return scheme, host and port of the endpoint, empty without one."""
    try:
        target = urlsplit(str(resource.get("channel", {}).get("endpoint", "")))
        port = f":{target.port}" if target.port else ""
    except ValueError:
        return ""
    return f"{target.scheme}://{target.hostname}{port}" if target.hostname else ""
