"""Which subscriptions a set of changes concerns, as far as their owners may read what changed."""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection

from fhir_server.service import Repository
from fhir_server.subscriptions.asked import which_hold
from fhir_server.subscriptions.changes import Change
from fhir_server.subscriptions.holds import all_hold
from fhir_server.subscriptions.journal import Found
from fhir_server.subscriptions.listeners import Listener, Listeners
from fhir_server.subscriptions.on_behalf import on_behalf
from fhir_server.subscriptions.triggers import fires
from hie.core.access import Requester
from hie.core.db.database import Transaction


def match(
    repository: Repository, transaction: Transaction, listeners: Listeners, changes: Sequence[Change]
) -> list[Found]:
    """Return the events that `changes` are for those who listen, in the order of the changes."""
    matched = [
        (change, listener)
        for change in changes
        for listener in _concerned(transaction.connection, listeners, change)
    ]
    readable = _Readable(repository, transaction)
    readable.ask((listener.requester, change) for change, listener in matched)
    found: dict[tuple[str, int], Found] = {}
    for change, listener in matched:
        focus = change.focus
        if focus is not None and readable.includes(listener.requester, change):
            # several types of one topic may lead to the same subscription: one change is one event
            found.setdefault(
                (listener.subscription_id, id(change)),
                Found(
                    listener.subscription_id,
                    change.resource_type,
                    change.id,
                    change.number,
                    change.method,
                    focus.last_updated,
                ),
            )
    return list(found.values())


def _concerned(
    connection: Connection[tuple[Any, ...]], listeners: Listeners, change: Change
) -> list[Listener]:
    focus = change.focus
    if focus is None:
        return []
    fired: dict[str, bool] = {}
    certain: list[Listener] = []
    open_questions: list[Listener] = []
    for listener in listeners.candidates(change.resource_type, focus):
        holds = all_hold(listener.conditions, focus)
        if holds is False or not _is_event(connection, listener, change, fired):
            continue
        (certain if holds else open_questions).append(listener)
    if open_questions:
        found = which_hold(connection, [each.conditions for each in open_questions], focus)
        certain += [each for position, each in enumerate(open_questions) if position in found]
    return certain


def _is_event(
    connection: Connection[tuple[Any, ...]], listener: Listener, change: Change, fired: dict[str, bool]
) -> bool:
    topic = listener.topic
    if topic is None:
        return change.current is not None
    url = topic.topic.url
    if url not in fired:
        fired[url] = fires(connection, topic, change)
    return fired[url]


class _Readable:
    """What owners may read of the changed resources; where they may read everything no query is made."""

    def __init__(self, repository: Repository, transaction: Transaction) -> None:
        self._repository = repository
        self._transaction = transaction
        self._everything: set[tuple[Requester, str]] = set()
        self._names: set[tuple[Requester, str, str]] = set()

    def ask(self, wanted: Iterable[tuple[Requester, Change]]) -> None:
        """Find out about all of `wanted`: one query for each owner and type that is restricted."""
        ids: dict[tuple[Requester, str], set[str]] = {}
        for requester, change in wanted:
            ids.setdefault((requester, change.resource_type), set()).add(change.id)
        for (requester, resource_type), listed in ids.items():
            with on_behalf(self._transaction, requester):
                readable = self._repository.readable_rows(self._transaction, (resource_type,), "r")
                if readable.text == "true":
                    self._everything.add((requester, resource_type))
                    continue
                targets = [(resource_type, each) for each in sorted(listed)]
                for stored in self._repository.read_all(self._transaction, targets):
                    self._names.add((requester, resource_type, stored.id))

    def includes(self, requester: Requester, change: Change) -> bool:
        """Say whether `requester` may read the resource that changed."""
        return (requester, change.resource_type) in self._everything or (
            requester,
            change.resource_type,
            change.id,
        ) in self._names
