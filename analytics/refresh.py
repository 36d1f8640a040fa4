"""Keeps the cases in step with the record: a consumer of the outbox.

At least once and in any order is enough: a case is kept under its Condition's id
with the version that said so.
"""

from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from analytics.cases import case_of
from analytics.queries import keep_cases
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject, loads
from hie.core.outbox import OutboxEvent
from hie.core.ports import ResourceStore

TOPIC: Final = "fhir.changed"


class CaseRefresh:
    """Handles `fhir.changed`: each changed Condition becomes a case, or stops being one."""

    def __init__(self, store: ResourceStore, zone: ZoneInfo) -> None:
        """Take the record and the zone whose calendar days are counted."""
        self._store = store
        self._zone = zone

    def __call__(self, transaction: Transaction, event: OutboxEvent) -> None:
        """Keep the cases of the Conditions that `event` names, as the record has them now."""
        versions = {
            change["id"]: change["version"]
            for change in event.payload["changes"]
            if change["type"] == "Condition"
        }
        rows = [self._row(transaction, found, version) for found, version in sorted(versions.items())]
        keep_cases(transaction, rows)

    def _row(
        self, transaction: Transaction, condition_id: str, version: int
    ) -> tuple[str, int, str, date, str]:
        try:
            stored = self._store.read(transaction, "Condition", condition_id)
        except NotFoundError:  # deleted since, or by this very change
            return condition_id, version, "", date.min, ""
        condition: JsonObject = loads(stored.body or b"{}")
        case = case_of(condition, self._zone)
        if case is None:
            return condition_id, stored.version, "", date.min, ""
        institution = self._institution(transaction, condition)
        return condition_id, stored.version, case.group.key, case.day, institution

    def _institution(self, transaction: Transaction, condition: JsonObject) -> str:
        """Return the identifier value of the organization that manages the Patient, "" without one."""
        patient = self._referenced(transaction, condition.get("subject"), "Patient")
        organization = self._referenced(transaction, patient.get("managingOrganization"), "Organization")
        values = [found["value"] for found in organization.get("identifier", ()) if found.get("value")]
        return str(values[0]) if values else ""

    def _referenced(self, transaction: Transaction, reference: JsonObject | None, kind: str) -> JsonObject:
        resource_type, _, resource_id = str((reference or {}).get("reference", "")).partition("/")
        if resource_type != kind:
            return {}
        try:
            stored = self._store.read(transaction, kind, resource_id)
        except NotFoundError:
            return {}
        found: JsonObject = loads(stored.body or b"{}")
        return found
