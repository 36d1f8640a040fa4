"""What a requester is shown of events: the versions that made them, as far as the repository lets it read.

What may no longer be read, or is no longer stored, leaves an event with its number and its time alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fhir_server.service import Repository
from fhir_server.subscriptions.journal import Event
from fhir_server.subscriptions.on_behalf import on_behalf
from hie.core.access import Requester
from hie.core.db.database import Transaction
from hie.core.errors import DeletedError, NotFoundError
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import StoredResource

# How many resources may come along with a focus; a notification is no export.
_MOST_INCLUDED = 50


@dataclass(frozen=True, slots=True)
class Focus:
    """The version that made an event, its JSON, None of a deletion, and the response that made it."""

    name: str
    stored: StoredResource | None
    resource: JsonObject | None
    method: str
    status: HTTPStatus


@dataclass(frozen=True, slots=True)
class Shown:
    """An event as somebody is shown it; `included` are current resources that come along."""

    event: Event
    focus: Focus | None
    included: tuple[StoredResource, ...] = ()


def show(
    repository: Repository,
    transaction: Transaction,
    requester: Requester,
    events: Sequence[Event],
    includes: Mapping[str, tuple[tuple[str, str], ...]],
) -> list[Shown]:
    """Return `events` as `requester` may see them, with what `includes` say for the type of the focus."""
    with on_behalf(transaction, requester):
        return [_show(repository, transaction, each, includes) for each in events]


def _show(
    repository: Repository,
    transaction: Transaction,
    event: Event,
    includes: Mapping[str, tuple[tuple[str, str], ...]],
) -> Shown:
    name = f"{event.resource_type}/{event.resource_id}"
    try:
        stored = repository.vread(transaction, event.resource_type, event.resource_id, event.resource_version)
    except DeletedError:
        return Shown(event, Focus(name, None, None, "DELETE", HTTPStatus.NO_CONTENT))
    except NotFoundError:
        return Shown(event, None)
    resource: JsonObject = loads(stored.body or b"{}")
    status = HTTPStatus.CREATED if stored.version == 1 else HTTPStatus.OK
    focus = Focus(name, stored, resource, event.method, status)
    wanted = includes.get(event.resource_type, ())
    return Shown(event, focus, _included(repository, transaction, event, wanted) if wanted else ())


def _included(
    repository: Repository, transaction: Transaction, event: Event, wanted: Sequence[tuple[str, str]]
) -> tuple[StoredResource, ...]:
    parameters = [("_id", event.resource_id), *wanted]
    page = repository.search(transaction, event.resource_type, parameters)
    return tuple(each.resource for each in page.entries if each.mode == "include")[:_MOST_INCLUDED]
