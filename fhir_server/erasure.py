"""The erasure of one patient's record: `hie.core.personal_rights.Erasure` over the repository.

个人信息保护法 (Personal Information Protection Law) article 47; refused while the law has records kept
(`hie.core.retention`). Not here: who may ask for it (`$erase`, `hie.rights`).
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from fhir_server.store.erasure import erase_files, erase_patient
from fhir_server.store.record import record_of
from fhir_server.transaction.processor import TOPIC
from hie.core.audit.trail import Step
from hie.core.clock import Clock
from hie.core.crypto.data_keys import DataKeys
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError
from hie.core.outbox import append
from hie.core.personal_rights import ErasureRefusal
from hie.core.retention import load_retention, refusal_of

# The changes of one event, as an import has them.
_EVENT_CHANGES = 100

Elsewhere = Callable[[Transaction, str, Sequence[bytes], Sequence[str]], int]
"""Removes what another feature keeps of a patient: by its id, its data keys, and names of its resources."""


class PatientErasure:
    """Erases records; works in the caller's transaction."""

    def __init__(
        self, keys: DataKeys, clock: Clock, *, jobs: Path, elsewhere: Sequence[Elsewhere] = ()
    ) -> None:
        """Take the keys, the clock, the folder of the jobs' files, and who else keeps anything."""
        self._keys = keys
        self._clock = clock
        self._jobs = jobs
        self._elsewhere = elsewhere

    def refusal(self, transaction: Transaction, patient: str, today: date) -> ErasureRefusal | None:
        """Return why the law has the record kept; None where it may be erased."""
        return refusal_of(record_of(transaction.connection, patient, load_retention()), today)

    def erase(self, transaction: Transaction, patient: str, *, reason: str) -> None:
        """Erase the record for good; raises ConflictError with the rule of law while it is to be kept.

        Once done, doing it again changes nothing. What names the patient in the audit trail stays: it is
        append-only, and says who looked.
        """
        refusal = self.refusal(transaction, patient, self._clock.now().date())
        if refusal is not None:
            until = "further notice" if refusal.until is None else f"{refusal.until:%Y-%m-%d}"
            raise ConflictError(f"`Patient/{patient}` is kept until {until} by law: {refusal.source}")
        connection = transaction.connection
        versions, changes, keys = erase_patient(connection, patient)
        self._keys.destroy(transaction, f"Patient/{patient}")
        names = [f"{each['type']}/{each['id']}" for each in changes] or [f"Patient/{patient}"]
        messages = sum(each(transaction, patient, keys, names) for each in self._elsewhere)
        jobs = erase_files(connection, self._jobs, patient)
        append(
            transaction,
            TOPIC,
            [{"changes": changes[at : at + _EVENT_CHANGES]} for at in range(0, len(changes), _EVENT_CHANGES)],
        )
        transaction.note(
            Step(
                "$erase",
                "D",
                target=f"Patient/{patient}",
                patients=(patient,),
                is_change=True,
                detail={
                    "reason": reason,
                    "versions": str(versions),
                    "keys": str(len(keys)),
                    "messages": str(messages),
                    "jobs": str(jobs),
                },
            )
        )
