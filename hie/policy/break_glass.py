"""Emergency access: a clinician opens a record that no rule opens to it, for a while, and everybody is told.

The purpose is BTG, "break the glass" (https://terminology.hl7.org/CodeSystem-v3-ActReason.html). What is
opened ends by itself. In the same transaction stand the entry of the audit trail, a Communication to the
patient, and an event of the outbox for the security officer; none can be lost without the others.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from uuid import uuid4

from hie.core.access import SYSTEM, Attempt, Requester, Role
from hie.core.audit.record import Record
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ForbiddenError, NotFoundError, RequestError
from hie.core.fhir.json import JsonObject
from hie.core.outbox import append
from hie.core.ports import AccessPolicy, ResourceStore
from hie.policy.queries import open_record

TOPIC: Final = "access.break-glass"
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
# Emergency treatment, and what no other code says.
REASONS: Final = ("ETREAT", "BTG")
LONGEST: Final = 500
_SHORTEST: Final = 5


class EmergencyAccess:
    """Opens records; `lasting` is how long one stays open."""

    def __init__(
        self, policy: AccessPolicy, store: ResourceStore, clock: Clock, *, lasting: timedelta
    ) -> None:
        """Take the policy that says who may, the record, and the clock."""
        self._policy = policy
        self._store = store
        self._clock = clock
        self._lasting = lasting

    @property
    def minutes(self) -> int:
        """How many minutes a record stays open."""
        return round(self._lasting.total_seconds() / 60)

    def open(self, transaction: Transaction, patient: str, *, reason_code: str, reason: str) -> None:
        """Open the record of the Patient with the id `patient` to the requester of `transaction`.

        Raises ForbiddenError for who may not, RequestError for a reason that says nothing, NotFoundError
        for a Patient who is not there.
        """
        requester = transaction.requester
        self._policy.decide(requester, Attempt("$break-glass", "Patient", patient))
        if requester.kind != "person" or Role.CLINICIAN not in requester.roles or not requester.practitioner:
            raise ForbiddenError("Emergency access is for clinicians in person")
        if reason_code not in REASONS:
            raise RequestError(f"`{reason_code}` is no reason for emergency access: {', '.join(REASONS)}")
        said = reason.strip()[:LONGEST]
        if len(said) < _SHORTEST:
            raise RequestError("Emergency access needs a reason in words")
        now = self._clock.now()
        until = now + self._lasting
        with _as_system(transaction):
            self._store.read(transaction, "Patient", patient)
            self._tell(transaction, requester, patient, reason_code)
        identity = uuid4()
        open_record(
            transaction,
            identity,
            requester.id,
            patient,
            reason_code=reason_code,
            reason=said,
            since=now,
            until=until,
        )
        transaction.record(
            Record(
                "break-glass",
                "break-glass",
                "E",
                requester,
                now,
                target=f"Patient/{patient}",
                patients=(patient,),
                detail={"reason": reason_code, "until": until.isoformat()},
            )
        )
        append(
            transaction,
            TOPIC,
            [
                {
                    "id": str(identity),
                    "account": requester.id,
                    "patient": patient,
                    "reason": reason_code,
                    "until": until.isoformat(),
                }
            ],
        )

    def find(self, transaction: Transaction, number: str) -> str:
        """Return the id of the one Patient with an identifier or id `number`.

        Raises ForbiddenError for who may open no record, NotFoundError for no Patient or several.
        """
        requester = transaction.requester
        self._policy.decide(requester, Attempt("$break-glass", "Patient"))
        wanted = re.sub(r"([\\,|$])", r"\\\1", number.strip())
        with _as_system(transaction):
            found = {
                entry.resource.id
                for parameter in ("identifier", "_id")
                if wanted
                for entry in self._store.search(
                    transaction, "Patient", [(parameter, wanted), ("_count", "2")]
                ).entries
            }
        if len(found) != 1:
            raise NotFoundError("No one Patient has this number")
        return found.pop()

    def _tell(self, transaction: Transaction, requester: Requester, patient: str, reason_code: str) -> None:
        """Write the Communication that tells the patient; what was opened stands in it, not why in words."""
        now = self._clock.now()
        reference = {"reference": f"Patient/{patient}"}
        communication: JsonObject = {
            "resourceType": "Communication",
            "status": "completed",
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/communication-category",
                            "code": "notification",
                        }
                    ]
                }
            ],
            "priority": "urgent",
            "subject": reference,
            "recipient": [reference],
            "sender": {"reference": f"Practitioner/{requester.practitioner}"},
            "sent": now.isoformat(),
            "reasonCode": [{"coding": [{"system": ACT_REASON, "code": reason_code}]}],
            "payload": [
                {
                    "contentString": "您的健康档案已被紧急查阅，查阅人与时间见“谁看过我的档案”。"
                    " Your health record was opened in an emergency; see who looked at it, and when."
                }
            ],
        }
        bundle: JsonObject = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": communication, "request": {"method": "POST", "url": "Communication"}}],
        }
        (result,) = self._store.transact(transaction, [bundle])
        if result.error is not None:
            raise result.error


@contextmanager
def _as_system(transaction: Transaction) -> Iterator[None]:
    """Have the server itself ask inside the block."""
    before = transaction.requester
    transaction.requester = SYSTEM
    try:
        yield
    finally:
        transaction.requester = before
