"""Consumes the changes of the repository: registers subscriptions, and numbers events for those that listen.

A handler of the outbox. What it writes is in the outbox's transaction, so that an event is recorded
exactly once, in the order of changes; sending is for `notifier` and `websocket`.
"""

from collections.abc import Sequence
from typing import Final

from fhir_server.search.stored_look_up import StoredLookUp
from fhir_server.service import Repository
from fhir_server.subscriptions import journal
from fhir_server.subscriptions.changes import Change, read_changes
from fhir_server.subscriptions.criteria import CriteriaReader
from fhir_server.subscriptions.definition import Definition, read_definition, wants_notifications
from fhir_server.subscriptions.interest import read_interest
from fhir_server.subscriptions.journal import Standing
from fhir_server.subscriptions.known_topics import read_topics
from fhir_server.subscriptions.listeners import Listeners
from fhir_server.subscriptions.matching import match
from fhir_server.subscriptions.on_behalf import on_behalf
from fhir_server.subscriptions.resource_status import move
from hie.core.access import ANONYMOUS, SYSTEM, Requester
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ExchangeError, InvalidResourceError, NotFoundError
from hie.core.fhir.json import JsonObject
from hie.core.outbox import OutboxEvent
from hie.core.web.outgoing import Destinations

_TYPE: Final = "Subscription"


class Subscriber:
    """Handles `fhir.changed`."""

    def __init__(
        self, repository: Repository, reader: CriteriaReader, endpoints: Destinations, clock: Clock
    ) -> None:
        """Take the repository, what compiles criteria, and the endpoints that may be called."""
        self._repository = repository
        self._reader = reader
        self._endpoints = endpoints
        self._clock = clock
        self._listeners = Listeners(reader, clock)
        self._seen: Transaction | None = None
        self._is_alone = False
        self._is_stale = False

    def __call__(self, transaction: Transaction, event: OutboxEvent) -> None:
        """Register the Subscriptions among the changes of `event`, and number what the others make."""
        try:
            self._take(transaction, event.payload)
        except BaseException:
            self._seen = None  # what this round knew and held goes with its savepoint
            raise

    def _take(self, transaction: Transaction, payload: JsonObject) -> None:
        if self._seen is not transaction:
            self._refresh(transaction)
            self._seen, self._is_alone = transaction, False
        elif self._is_stale and any(each["type"] != _TYPE for each in payload["changes"]):
            self._refresh(transaction)
        concerned = self._concerned(payload)
        if concerned and not self._is_alone:
            journal.lock_matching(transaction)
            self._refresh(transaction)
            self._end_broken(transaction)
            self._is_alone = True
            concerned = self._concerned(payload)
        if not concerned:
            return
        changes = read_changes(transaction.connection, self._reader.indexer, concerned)
        found = match(self._repository, transaction, self._listeners, changes)
        journal.append_events(transaction, found)
        self._register_all(transaction, concerned, changes, _requester(payload))

    def _refresh(self, transaction: Transaction) -> None:
        self._repository.indexer(transaction)
        self._listeners.refresh(transaction.connection)
        self._is_stale = False

    def _concerned(self, payload: JsonObject) -> list[JsonObject]:
        """Return the changes of types that somebody listens to, and of Subscriptions."""
        types = self._listeners.types
        return [each for each in payload["changes"] if each["type"] in types or each["type"] == _TYPE]

    def _end_broken(self, transaction: Transaction) -> None:
        """Say of subscriptions that can be followed no longer why; none falls silent without a word."""
        for identity, reason in self._listeners.broken.items():
            standing = journal.find(transaction, [identity]).get(identity)
            if standing is not None:
                move(self._repository, transaction, standing, "error", reason)

    def _register_all(
        self,
        transaction: Transaction,
        concerned: Sequence[JsonObject],
        changes: Sequence[Change],
        requester: Requester,
    ) -> None:
        by_version = {(each.id, each.number): each for each in changes if each.resource_type == _TYPE}
        for each in concerned:
            if each["type"] == _TYPE:
                change = by_version.get((each["id"], each["version"]))
                self._register(transaction, each["id"], change, requester)
                self._is_stale = True

    def _register(
        self, transaction: Transaction, identity: str, change: Change | None, requester: Requester
    ) -> None:
        """Take over a Subscription that was written or deleted, unless the server itself did."""
        before = journal.find(transaction, [identity]).get(identity)
        if change is None:
            # that version was expunged; perhaps with all the others
            with on_behalf(transaction, SYSTEM):
                try:
                    self._repository.read(transaction, _TYPE, identity)
                except NotFoundError:
                    journal.remove(transaction, identity)
            return
        if change.current is None:
            journal.remove(transaction, identity)
            return
        if before is not None and before.version >= change.number:
            return
        resource = change.current.resource
        owner = requester if before is None else before.requester
        try:
            definition = read_definition(resource)
        except InvalidResourceError as error:
            standing = self._keep(transaction, change, _idle(resource, before), None, owner)
            if wants_notifications(resource):
                move(self._repository, transaction, standing, "error", error.message)
            return
        if not wants_notifications(resource):
            self._keep(transaction, change, _idle(resource, before), definition, owner)
            return
        standing = self._keep(transaction, change, "requested", definition, owner)
        refusal = self._refusal(transaction, definition)
        if refusal is not None:
            move(self._repository, transaction, standing, "error", refusal)
        elif definition.channel == "websocket" or definition.topic is None:
            # There is nobody to shake hands with yet, or no notification that would be a handshake.
            move(self._repository, transaction, standing, "active")

    def _keep(
        self,
        transaction: Transaction,
        change: Change,
        status: str,
        definition: Definition | None,
        owner: Requester,
    ) -> Standing:
        return journal.register(
            transaction,
            subscription_id=change.id,
            version=change.number,
            status=status,
            channel="websocket" if definition is None else definition.channel,
            resource={} if change.current is None else change.current.resource,
            requester=owner,
            ends_at=None if definition is None else definition.end,
        )

    def _refusal(self, transaction: Transaction, definition: Definition) -> str | None:
        """Return why the server cannot do what is asked for, None where it can."""
        now = self._clock.now()
        if definition.end is not None and definition.end <= now:
            return f"The subscription ended at {definition.end.isoformat()}"
        connection = transaction.connection
        try:
            read_interest(definition, read_topics(connection), self._reader, now, StoredLookUp(connection))
        except ExchangeError as error:
            return error.message
        if definition.channel == "rest-hook":
            return self._endpoints.refusal(definition.endpoint)
        return None


def _idle(resource: JsonObject, before: Standing | None) -> str:
    """Return the status of a subscription that is not asked to run; only the server finds errors."""
    if resource.get("status") == "error" and before is not None and before.status == "error":
        return "error"
    return "off"


def _requester(payload: JsonObject) -> Requester:
    """Return who made the changes; nobody known where it does not say."""
    given = payload.get("requester")
    return ANONYMOUS if given is None else Requester.from_json(given)
