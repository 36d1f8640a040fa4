"""Complaints of citizens about who looked at their record, and the answers of the security officer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, NotFoundError

LONGEST = 2_000
_COLUMNS = "id, event_id, patient, made_by, made_at, reason, answer_due, answered_at, answered_by, answer"


@dataclass(frozen=True, slots=True)
class Complaint:
    """A complaint; `event_id` is the record that it is about, None for access as such."""

    id: int
    event_id: str | None
    patient: str
    made_by: str
    made_at: datetime
    reason: str
    answer_due: datetime
    answered_at: datetime | None
    answered_by: str | None
    answer: str | None


def complain(
    transaction: Transaction,
    *,
    patient: str,
    event_id: str | None,
    reason: str,
    now: datetime,
    answer_days: int,
) -> int:
    """Store a complaint of the transaction's requester; return its number.

    Raises NotFoundError for a record that does not concern `patient`.
    """
    connection = transaction.connection
    if event_id is not None:
        found = connection.execute(
            "SELECT FROM audit_event WHERE id = %s AND patient = %s", (event_id, patient)
        ).fetchone()
        if found is None:
            raise NotFoundError(f"There is no access `{event_id}` to this record")
    row = connection.execute(
        "INSERT INTO audit_complaint (event_id, patient, made_by, made_at, reason, answer_due)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (
            event_id,
            patient,
            transaction.requester.id or transaction.requester.kind,
            now,
            reason[:LONGEST],
            now + timedelta(days=answer_days),
        ),
    ).fetchone()
    return row[0] if row else 0


def answer(transaction: Transaction, number: int, text: str, *, now: datetime) -> None:
    """Answer a complaint; raises NotFoundError, and ConflictError when it was answered before."""
    made = transaction.connection.execute(
        "UPDATE audit_complaint SET answered_at = %s, answered_by = %s, answer = %s"
        " WHERE id = %s AND answered_at IS NULL",
        (now, transaction.requester.id or transaction.requester.kind, text[:LONGEST], number),
    )
    if made.rowcount:
        return
    known = transaction.connection.execute("SELECT id FROM audit_complaint WHERE id = %s", (number,))
    if known.fetchone() is not None:
        raise ConflictError(f"Complaint {number} was answered before")
    raise NotFoundError(f"There is no complaint {number}")


def of_patient(transaction: Transaction, patient: str, *, limit: int = 50) -> list[Complaint]:
    """Return the complaints about accesses to one record, newest first."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM audit_complaint WHERE patient = %s ORDER BY id DESC LIMIT %s",  # noqa: S608 - our columns
        (patient, limit),
    )
    return [Complaint(*row) for row in rows]


def unanswered(transaction: Transaction, *, limit: int = 100) -> list[Complaint]:
    """Return the complaints without an answer, the most urgent first."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM audit_complaint WHERE answered_at IS NULL ORDER BY answer_due LIMIT %s",  # noqa: S608 - our columns
        (limit,),
    )
    return [Complaint(*row) for row in rows]
