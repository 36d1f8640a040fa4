"""What is sent for a subscription: handshakes, heartbeats and events, as its channel and content ask for it.

Reads on behalf of the subscription's owner, in the caller's transaction; sends nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.service import Repository
from fhir_server.subscriptions import journal
from fhir_server.subscriptions.definition import Content, Definition
from fhir_server.subscriptions.journal import Event, Standing
from fhir_server.subscriptions.known_topics import read_topics
from fhir_server.subscriptions.notification import Kind, notification, status_of
from fhir_server.subscriptions.shown import Shown, show
from hie.core.access import Requester
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, dumps
from hie.core.fhir.xml_write import to_xml


@dataclass(frozen=True, slots=True)
class Message:
    """One request to an endpoint, or one text to a websocket; `last` is the last event that it tells of."""

    method: str
    url: str
    body: bytes | None
    last: int


class Messages:
    """Makes messages; safe to share between threads."""

    def __init__(self, repository: Repository, base_url: str) -> None:
        """Take the repository, and the FHIR base URL as clients see it."""
        self._repository = repository
        self._base_url = base_url.rstrip("/")

    def control(self, standing: Standing, definition: Definition, kind: Kind, now: datetime) -> Message:
        """Return a handshake or heartbeat."""
        bundle = self.bundle(standing, definition, kind, (), definition.content, now)
        return Message("POST", definition.endpoint, encoded(bundle, definition.form), standing.delivered)

    def next(
        self,
        transaction: Transaction,
        standing: Standing,
        definition: Definition,
        now: datetime,
        *,
        after: int | None = None,
        requester: Requester | None = None,
    ) -> Message | None:
        """Return what tells of the next events after number `after`, None when there is none.

        By default after what was delivered, and on behalf of the owner. Events that may not be shown
        to a subscriber of R4 criteria, who is told by resources alone, have no body and no URL: they
        are passed over.
        """
        first = (standing.delivered if after is None else after) + 1
        limit = definition.max_count if definition.topic else 1
        events = journal.events(transaction, standing.id, first, standing.event_count, limit=limit)
        if not events:
            return None
        shown = self.show(transaction, requester or standing.requester, definition, events)
        if definition.topic is None and definition.channel == "rest-hook":
            return _update(definition, shown[0])
        bundle = self.bundle(standing, definition, "event-notification", shown, definition.content, now)
        return Message("POST", definition.endpoint, encoded(bundle, definition.form), events[-1].number)

    def show(
        self,
        transaction: Transaction,
        requester: Requester,
        definition: Definition,
        events: Sequence[Event],
    ) -> list[Shown]:
        """Return `events` as `requester` may see them, with what the topic includes."""
        topic = None
        if definition.topic is not None and definition.content != "empty":
            topic = read_topics(transaction.connection).get(definition.topic.partition("|")[0])
        includes = {} if topic is None else topic.includes
        return show(self._repository, transaction, requester, events, includes)

    def bundle(
        self,
        standing: Standing,
        definition: Definition,
        kind: Kind,
        shown: Sequence[Shown],
        content: Content,
        now: datetime,
    ) -> JsonObject:
        """Return the notification Bundle; its status counts the events up to the last one shown."""
        count = shown[-1].event.number if shown and kind == "event-notification" else standing.event_count
        status = status_of(
            self._base_url,
            standing.id,
            kind=kind,
            status=standing.status,
            event_count=count,
            topic=definition.topic,
            content=content,
            error=standing.error,
            shown=shown,
        )
        return notification(self._base_url, standing.id, status, shown=shown, content=content, now=now)


def encoded(resource: JsonObject, form: str) -> bytes:
    """Return `resource` as JSON or XML."""
    return to_xml(resource) if form == "xml" else dumps(resource)


def _update(definition: Definition, shown: Shown) -> Message:
    """Return what R4 sends for criteria: a POST without body, or with a payload an update at the endpoint.

    "The channel is executed by making a post to the URI. If a payload is included, the URL is interpreted as
    the service base, and an update (PUT) is made."
    https://hl7.org/fhir/R4/valueset-subscription-channel-type.html
    """
    number = shown.event.number
    focus = shown.focus
    if definition.payload is None:
        return Message("POST", definition.endpoint, None, number)
    if focus is None or focus.resource is None:
        return Message("PUT", "", None, number)
    url = f"{definition.endpoint.rstrip('/')}/{focus.name}"
    return Message("PUT", url, encoded(focus.resource, definition.form), number)
