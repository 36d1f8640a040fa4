"""Moves a subscription to another status, in its resource and in what the server works.

Only the server moves a Subscription from requested to active and to error, with the last error in
`Subscription.error` (https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.status).
"""

from fhir_server.service import Repository
from fhir_server.subscriptions import journal
from fhir_server.subscriptions.definition import read_definition
from fhir_server.subscriptions.journal import Standing
from fhir_server.subscriptions.on_behalf import on_behalf
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.etag import ETags
from hie.core.access import SYSTEM
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, ExchangeError, NotFoundError
from hie.core.fhir.json import JsonObject, loads

_TYPE = "Subscription"


def move(
    repository: Repository,
    transaction: Transaction,
    standing: Standing,
    status: str,
    error: str | None = None,
) -> Standing | None:
    """Return the subscription in its new status; None when a client has changed or deleted it meanwhile.

    Then the outbox brings that change, and the subscription is worked as that asks for.
    """
    journal.lock_matching(transaction)
    with on_behalf(transaction, SYSTEM):
        try:
            stored = repository.read(transaction, _TYPE, standing.id)
            if stored.version != standing.version:
                return None
            resource: JsonObject = loads(stored.body or b"{}")
            made = repository.apply_one(
                transaction,
                Operation(
                    "PUT",
                    _TYPE,
                    id=standing.id,
                    resource=_with_status(resource, status, error),
                    if_match=ETags((stored.version,)),
                ),
            )
        except (NotFoundError, ConflictError):
            return None
    return journal.set_status(
        transaction,
        standing.id,
        status=status,
        version=made.version,
        error=error,
        heartbeat_seconds=_heartbeat(standing),
    )


def _with_status(resource: JsonObject, status: str, error: str | None) -> JsonObject:
    made = {**resource, "status": status}
    made.pop("error", None)
    if error is not None:
        made["error"] = error
    return made


def _heartbeat(standing: Standing) -> int | None:
    try:
        return read_definition(standing.resource).heartbeat_seconds
    except ExchangeError:
        return None
