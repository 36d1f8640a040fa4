"""Keeps the consent rules in step with the stored Consents, in the transaction that writes one.

What was stored past the repository's writes (a bulk import) follows by the outbox.
"""

from dataclasses import replace
from datetime import tzinfo
from functools import partial
from typing import Final

from hie.consent.actors import RESOLVED
from hie.consent.queries import naming, replace_rules
from hie.consent.rules import Reading, patient_of, rules_of
from hie.core.access import SYSTEM
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject, loads
from hie.core.outbox import OutboxEvent
from hie.core.ports import ResourceStore

TYPE: Final = "Consent"


class ConsentRules:
    """`Derivation` of `hie.core.ports` for Consents."""

    resource_types = frozenset({TYPE})

    def __init__(self, base_url: str, zone: tzinfo, labels: frozenset[str]) -> None:
        """Take the base URL of this server's references, the zone of dates, and codes of known labels."""
        self._reading = Reading(base_url.rstrip("/"), zone, labels)
        self._store: ResourceStore | None = None

    def follow(self, store: ResourceStore) -> None:
        """Have `store` say whom a CareTeam, a Group or a PractitionerRole means."""
        self._store = store

    def derive(
        self,
        transaction: Transaction,
        resource_type: str,  # noqa: ARG002 - the port's words
        resource_id: str,
        resource: JsonObject | None,
    ) -> None:
        """Have the rules of the Consent be those of `resource`; None is a deleted one."""
        consent = resource or {}
        patient = patient_of(consent, self._reading.base_url)
        reading = replace(self._reading, resolve=partial(self._resolve, transaction))
        rules = rules_of(consent, reading) if patient else []
        replace_rules(transaction, resource_id, patient, rules)

    def _resolve(self, transaction: Transaction, reference: str) -> JsonObject | None:
        """Return what `reference` names, whether or not who writes the Consent may read it."""
        if self._store is None:
            return None
        requester, transaction.requester = transaction.requester, SYSTEM
        try:
            found: JsonObject = loads(self._store.read(transaction, *reference.split("/", 1)).body or b"{}")
        except (NotFoundError, TypeError):
            return None
        finally:
            transaction.requester = requester
        return found


class ConsentRefresh:
    """Handles `fhir.changed`: the rules of each changed Consent are those of the stored one.

    So are those of each Consent whose actors a changed resource says.
    """

    def __init__(self, store: ResourceStore, rules: ConsentRules) -> None:
        """Take the record and what keeps the rules."""
        self._store = store
        self._rules = rules

    def __call__(self, transaction: Transaction, event: OutboxEvent) -> None:
        """Read the Consents that `event` names again."""
        changes = event.payload["changes"]
        changed = {each["id"] for each in changes if each["type"] == TYPE}
        actors = [f"{each['type']}/{each['id']}" for each in changes if each["type"] in RESOLVED]
        if actors:
            changed.update(naming(transaction, actors))
        for consent_id in sorted(changed):
            try:
                stored = self._store.read(transaction, TYPE, consent_id)
            except NotFoundError:
                resource = None
            else:
                resource = loads(stored.body or b"{}")
            self._rules.derive(transaction, TYPE, consent_id, resource)
