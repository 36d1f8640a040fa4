"""What clients and operators ask of subscriptions: how they stand, what happened, what waits in vain.

Whether a Subscription may be seen is the repository's word, for every one of them.
"""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg.types.json import Jsonb

from fhir_server.service import Repository
from fhir_server.store.content import instant
from fhir_server.subscriptions import journal
from fhir_server.subscriptions.definition import Content, Definition, read_definition
from fhir_server.subscriptions.journal import Standing
from fhir_server.subscriptions.messages import Messages
from fhir_server.subscriptions.notification import status_entry, status_of
from fhir_server.subscriptions.resource_status import move
from hie.core.access import Requester
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, InvalidResourceError, NotFoundError, RequestError
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.ports import StoredResource

TYPE: Final = "Subscription"
TOKEN_LIFETIME: Final = timedelta(hours=1)
# Events in one answer of $events; the client asks on from the last number.
MOST_EVENTS: Final = 500


@dataclass(frozen=True, slots=True)
class Token:
    """A token for websockets; it is known only to whoever asked for it."""

    text: str
    subscription_ids: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token is good for."""

    subscription_ids: tuple[str, ...]
    requester: Requester
    expires_at: datetime


def statuses(
    repository: Repository,
    transaction: Transaction,
    base_url: str,
    ids: Sequence[str],
    among: Collection[str] = (),
) -> list[JsonObject]:
    """Return the entries of $status for `ids`, or for all there are when empty, in a status `among`."""
    readable = _read(repository, transaction, ids)
    standings = journal.find(transaction, [each.id for each in readable])
    entries = []
    for stored in readable:
        resource: JsonObject = loads(stored.body or b"{}")
        if among and resource.get("status") not in among:
            continue
        standing = standings.get(stored.id)
        try:
            definition = read_definition(resource)
        except InvalidResourceError:
            definition = None
        status = status_of(
            base_url,
            stored.id,
            kind="query-status",
            status=str(resource.get("status")),
            event_count=0 if standing is None else standing.event_count,
            topic=None if definition is None else definition.topic,
            content="empty" if definition is None else definition.content,
            error=resource.get("error"),
        )
        entries.append(status_entry(base_url, stored.id, status))
    return entries


def events(
    repository: Repository,
    transaction: Transaction,
    base_url: str,
    subscription_id: str,
    *,
    first: int,
    last: int | None,
    content: Content | None,
    now: datetime,
) -> JsonObject:
    """Return the notification of events `first` to `last`, as far as the requester may read them.

    At most MOST_EVENTS, with the content that the subscription has, or less. Raises NotFoundError.
    """
    repository.read(transaction, TYPE, subscription_id)
    standing = journal.find(transaction, [subscription_id]).get(subscription_id)
    if standing is None:
        raise NotFoundError(f"`{TYPE}/{subscription_id}` is not registered yet; ask again in a moment")
    definition = _definition(standing)
    found = journal.events(
        transaction,
        subscription_id,
        first,
        standing.event_count if last is None else last,
        limit=MOST_EVENTS,
    )
    messages = Messages(repository, base_url)
    shown = messages.show(transaction, transaction.requester, definition, found)
    least = min(content or definition.content, definition.content, key=_AMOUNT.index)
    return messages.bundle(standing, definition, "query-event", shown, least, now)


def give_token(repository: Repository, transaction: Transaction, ids: Sequence[str], now: datetime) -> Token:
    """Return a new token for the subscriptions `ids` of websockets, or for all there are when empty.

    Raises NotFoundError for one that may not be seen, RequestError for one of another channel.
    """
    chosen = []
    for stored in _read(repository, transaction, ids):
        resource: JsonObject = loads(stored.body or b"{}")
        channel = resource.get("channel", {}).get("type")
        if channel == "websocket":
            chosen.append(stored.id)
        elif ids:
            raise RequestError(f"`{TYPE}/{stored.id}` is told by {channel}, not by websocket")
    if not chosen:
        raise NotFoundError("There is no subscription by websocket")
    who = transaction.requester
    token = Token(secrets.token_urlsafe(32), tuple(chosen), now + TOKEN_LIFETIME)
    transaction.connection.execute("DELETE FROM subscription_token WHERE expires_at < %s", (now,))
    transaction.connection.execute(
        "INSERT INTO subscription_token (digest, subscription_ids, requester, expires_at)"
        " VALUES (%s, %s, %s, %s)",
        (_digest(token.text), chosen, Jsonb(who.as_json(), dumps=dumps), token.expires_at),
    )
    return token


def binding_of(transaction: Transaction, token: str, now: datetime) -> Binding | None:
    """Return what `token` is good for, None for one that is unknown or too old."""
    row = transaction.connection.execute(
        "SELECT subscription_ids, requester, expires_at FROM subscription_token"
        " WHERE digest = %s AND expires_at > %s",
        (_digest(token), now),
    ).fetchone()
    return None if row is None else Binding(tuple(row[0]), Requester.from_json(row[1]), row[2])


def dead_letters(repository: Repository, transaction: Transaction) -> list[JsonObject]:
    """Return the subscriptions in error with what waits in vain, as parts of Parameters; the oldest first."""
    standings = journal.in_error(transaction)
    targets = [(TYPE, each.id) for each in standings]
    readable = {each.id for each in repository.read_all(transaction, targets)} if targets else set()
    return [_letter(each) for each in standings if each.id in readable]


def redrive(repository: Repository, transaction: Transaction, subscription_id: str, *, skip: int) -> Standing:
    """Have a subscription in error told of what waits, without the next `skip` events.

    Raises NotFoundError, and ConflictError where it is not in error or is being changed.
    """
    repository.read(transaction, TYPE, subscription_id)
    journal.lock_matching(transaction)
    standing = journal.find(transaction, [subscription_id]).get(subscription_id)
    if standing is None or standing.status != "error":
        raise ConflictError(f"`{TYPE}/{subscription_id}` is not in error")
    if skip:
        journal.skip(transaction, subscription_id, skip)
    moved = move(repository, transaction, standing, "active")
    if moved is None:
        raise ConflictError(f"`{TYPE}/{subscription_id}` is being changed; try again")
    return moved


_AMOUNT: Final[tuple[Content, ...]] = ("empty", "id-only", "full-resource")


def _read(repository: Repository, transaction: Transaction, ids: Sequence[str]) -> list[StoredResource]:
    if ids:
        return [repository.read(transaction, TYPE, each) for each in dict.fromkeys(ids)]
    found: list[StoredResource] = []
    cursor: str | None = None
    while True:
        parameters = [] if cursor is None else [("_cursor", cursor)]
        page = repository.search(transaction, TYPE, parameters)
        found += [each.resource for each in page.entries]
        cursor = page.next_cursor
        if cursor is None:
            return found


def _definition(standing: Standing) -> Definition:
    try:
        return read_definition(standing.resource)
    except InvalidResourceError as error:
        raise ConflictError(f"`{TYPE}/{standing.id}` cannot be followed: {error.message}") from error


def _letter(standing: Standing) -> JsonObject:
    parts: list[JsonObject] = [
        {"name": "subscription", "valueReference": {"reference": f"{TYPE}/{standing.id}"}},
        {"name": "error", "valueString": standing.error or ""},
        {"name": "pending", "valueString": str(standing.pending)},
        {"name": "first-event-number", "valueString": str(standing.delivered + 1)},
    ]
    if standing.failed_at is not None:
        parts.append({"name": "since", "valueInstant": instant(standing.failed_at)})
    return {"name": "subscription", "part": parts}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
