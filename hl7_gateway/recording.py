"""What the audit trail says of a message: one record each, in the transaction that journals it.

The sender is who asks; the Patients concerned are those that the message made or changed.
"""

from hie.core.access import Requester
from hie.core.audit.record import Record
from hie.core.ports import TransactionResult
from hl7_gateway.work import Work

_NAMED = 500


def record_of(work: Work, result: TransactionResult | None) -> Record:
    """Return the record of a message that is concluded; `result` is None where nothing was to store."""
    entries = result.entries if result is not None and work.outcome is None else ()
    patients = dict.fromkeys(entry.id for entry in entries if entry.type == "Patient")
    changed = [(entry.type, entry.id) for entry in entries if entry.is_changed]
    detail = {"acknowledgment": work.code, "digest": work.identity.digest.hex()}
    if work.control_id:
        detail["control-id"] = work.control_id[:_NAMED]
    if work.received.certificate is not None:
        detail["certificate"] = work.received.certificate.fingerprint
    if work.is_resent:
        detail["resent"] = "true"
    return Record(
        "message",
        work.event or "unreadable",
        "C",
        Requester("client", work.sender_name or "unknown"),
        work.received.received_at,
        status=200 if work.outcome is None else work.outcome.status,
        error="" if work.outcome is None else type(work.outcome).__name__,
        seen=tuple(changed),
        patients=tuple(patients),
        detail=detail,
    )
