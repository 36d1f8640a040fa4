"""The subscriptions that listen, compiled and indexed: for a resource, those that may be interested in it.

Compiled once for each process and revision. What values refer to (value sets, hierarchies), stored
search parameters and topics are read anew every minute.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.conditions import Condition
from fhir_server.search.stored_look_up import StoredLookUp
from fhir_server.subscriptions.anchor import Key, anchor_of, keys_of
from fhir_server.subscriptions.criteria import CriteriaReader
from fhir_server.subscriptions.definition import read_definition
from fhir_server.subscriptions.holds import Version
from fhir_server.subscriptions.interest import Interest, read_interest
from fhir_server.subscriptions.known_topics import read_topics
from fhir_server.subscriptions.triggers import CompiledTopic
from hie.core.access import Requester
from hie.core.clock import Clock
from hie.core.errors import ExchangeError

FRESH_SECONDS: Final = 60.0

# In error they still count events, which wait for the client (the guide's page on errors asks for it); one
# that is activated again after a change goes on listening.
_LISTENING: Final = "status IN ('active', 'error') OR status = 'requested' AND activated_at IS NOT NULL"
_STATE: Final = f"SELECT id, revision FROM subscription WHERE {_LISTENING}"  # noqa: S608 - our text
_READ: Final = """
SELECT id, status, requester, resource FROM subscription
WHERE id = ANY(%s) ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Listener:
    """A subscription's interest in one type: `conditions` on the focus, and a topic that must fire."""

    subscription_id: str
    requester: Requester
    topic: CompiledTopic | None
    conditions: tuple[Condition, ...]


class _OfType:
    """The listeners of one type, each under the keys of its anchor, or under None."""

    def __init__(self) -> None:
        self._by_key: dict[Key | None, dict[str, Listener]] = {}

    def add(self, listener: Listener) -> None:
        for key in _keys(listener):
            self._by_key.setdefault(key, {})[listener.subscription_id] = listener

    def remove(self, listener: Listener) -> None:
        for key in _keys(listener):
            listed = self._by_key[key]
            del listed[listener.subscription_id]
            if not listed:
                del self._by_key[key]

    def find(self, keys: Iterable[Key | None]) -> list[Listener]:
        found: dict[str, Listener] = {}
        for key in keys:
            listed = self._by_key.get(key)
            if listed:
                found.update(listed)
        return list(found.values())

    def __bool__(self) -> bool:
        return bool(self._by_key)


class Listeners:
    """The subscriptions that listen; for one thread at a time.

    `broken` is id -> reason of those that can no longer be compiled.
    """

    def __init__(
        self, reader: CriteriaReader, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take what compiles criteria, and what measures time in seconds."""
        self._reader = reader
        self._clock = clock
        self._monotonic = monotonic
        self.broken: dict[str, str] = {}
        self._revisions: dict[str, int] = {}
        self._listeners: dict[str, list[tuple[str, Listener]]] = {}
        self._types: dict[str, _OfType] = {}
        self._compiled_at = float("-inf")

    @property
    def types(self) -> frozenset[str]:
        """The types of resources that anybody is interested in."""
        return frozenset(self._types)

    def refresh(self, connection: Connection[tuple[Any, ...]]) -> None:
        """Take over what was registered or changed since."""
        now = self._monotonic()
        if now - self._compiled_at >= FRESH_SECONDS:
            self._revisions = {}
            self._compiled_at = now
        revisions: dict[str, int] = dict(connection.execute(_STATE).fetchall())
        changed = [name for name, revision in revisions.items() if self._revisions.get(name) != revision]
        gone = [name for name in self._listeners if name not in revisions]
        for name in (*changed, *gone):
            self._remove(name)
        self.broken = {}
        if changed:
            self._read(connection, changed)
        self._revisions = revisions

    def candidates(self, resource_type: str, version: Version) -> list[Listener]:
        """Return those whose conditions may hold of `version`, each once."""
        of_type = self._types.get(resource_type)
        return [] if of_type is None else of_type.find((*keys_of(version), None))

    def _read(self, connection: Connection[tuple[Any, ...]], changed: list[str]) -> None:
        topics = read_topics(connection)
        look_up = StoredLookUp(connection)
        now = self._clock.now()
        compiled: dict[str, CompiledTopic] = {}
        for identity, status, requester, resource in connection.execute(_READ, (changed,)).fetchall():
            try:
                interest = read_interest(
                    read_definition(resource), topics, self._reader, now, look_up, compiled
                )
            except ExchangeError as error:  # a value set or parameter is gone since it was registered
                if status != "error":
                    self.broken[identity] = error.message
            else:
                self._add(identity, Requester.from_json(requester), interest)

    def _add(self, identity: str, requester: Requester, interest: Interest) -> None:
        listed = []
        for resource_type, every in interest.criteria.items():
            conditions = tuple(each for criteria in every for each in criteria.conditions)
            listener = Listener(identity, requester, interest.topic, conditions)
            self._types.setdefault(resource_type, _OfType()).add(listener)
            listed.append((resource_type, listener))
        self._listeners[identity] = listed

    def _remove(self, identity: str) -> None:
        for resource_type, listener in self._listeners.pop(identity, ()):
            of_type = self._types[resource_type]
            of_type.remove(listener)
            if not of_type:
                del self._types[resource_type]


def _keys(listener: Listener) -> Iterable[Key | None]:
    anchor = anchor_of(listener.conditions)
    return (None,) if anchor is None else anchor
