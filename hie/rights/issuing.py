"""A receipt for each version of a Consent that gives, refuses or withdraws one: made behind the commit.

Acts on the repository's event `fhir.changed`, so that Consents of whatever origin have theirs: written by
pages, by applications, by messages or imported. Delivered twice, it is made once.
"""

from datetime import datetime
from typing import Final, Protocol
from uuid import uuid4

from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.outbox import OutboxEvent
from hie.core.ports import StoredResource
from hie.rights.receipts import Controller, event_of, receipt_of
from hie.rights.signing import Signing, has_receipt

_TYPE: Final = "Consent"
_DELETE: Final = "DELETE"


class VersionedStore(Protocol):
    """A repository that tells the earlier versions of a resource."""

    def vread(
        self, transaction: Transaction, resource_type: str, resource_id: str, version: int
    ) -> StoredResource:
        """Return version `version`; raises NotFoundError, and DeletedError where that is a deletion."""
        ...


class ReceiptIssue:
    """Handles `fhir.changed`: each changed Consent gets the receipt of what it then said."""

    def __init__(self, store: VersionedStore, signing: Signing, controller: Controller, clock: Clock) -> None:
        """Take the record, what signs, and who is responsible for the data."""
        self._store = store
        self._signing = signing
        self._controller = controller
        self._clock = clock

    def __call__(self, transaction: Transaction, event: OutboxEvent) -> None:
        """Make the receipts of the Consents that `event` names."""
        for change in event.payload["changes"]:
            if change["type"] == _TYPE and not has_receipt(transaction, change["id"], change["version"]):
                self._issue(transaction, change["id"], change["version"], change["method"])

    def _issue(self, transaction: Transaction, consent: str, version: int, method: str) -> None:
        found = None if method == _DELETE else self._content(transaction, consent, version)
        before = self._content(transaction, consent, version - 1) if version > 1 else None
        said = found if found is not None else before
        happened = event_of(found if method != _DELETE else None)
        if said is None or happened is None or (found is None and method != _DELETE):
            return
        if happened == "withdrawn" and event_of(before) not in ("given", "refused"):
            return  # nothing was given before
        patient = str((said.get("patient") or {}).get("reference", "")).rpartition("/")[2]
        if not patient:
            return
        identity = uuid4()
        receipt = receipt_of(
            said,
            happened,
            receipt=str(identity),
            reference=f"Consent/{consent}/_history/{version}",
            at=self._moment(found),
            controller=self._controller,
        )
        self._signing.add(
            transaction,
            identity,
            consent=consent,
            version=version,
            patient=patient,
            event=happened,
            body=dumps(receipt),
        )

    def _content(self, transaction: Transaction, consent: str, version: int) -> JsonObject | None:
        """Return one version; None for one that is no longer there, or a deletion."""
        try:
            stored = self._store.vread(transaction, _TYPE, consent, version)
        except NotFoundError:
            return None
        found: JsonObject = loads(stored.body or b"{}")
        return found

    def _moment(self, found: JsonObject | None) -> datetime:
        """Return when that version was stored; for a deletion, now."""
        updated = ((found or {}).get("meta") or {}).get("lastUpdated")
        return datetime.fromisoformat(updated) if updated else self._clock.now()
