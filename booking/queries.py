"""The hot statements of booking: one statement each, so that no seat is given twice."""

from datetime import datetime

from sqlmodel import col, select

from booking.tables import Slot
from hie.core.db.database import Transaction

# The update takes the seat only if one is free (the row lock serialises rivals); the insert happens only if
# it did. Measured by the architecture: 5,900 bookings/s as one statement, 2,600/s as four.
_BOOK = """
WITH seat AS (
    UPDATE slot SET taken = taken + 1 WHERE id = %(slot)s AND taken < seats RETURNING id
)
INSERT INTO booking (slot_id, patient, state, booked_at)
SELECT id, %(patient)s, 'booked', %(now)s FROM seat RETURNING id
"""
_CANCEL = """
WITH gone AS (
    UPDATE booking SET state = 'cancelled' WHERE id = %(booking)s AND state = 'booked' RETURNING slot_id
)
UPDATE slot SET taken = taken - 1 FROM gone WHERE slot.id = gone.slot_id RETURNING slot.id
"""


def take_seat(transaction: Transaction, *, slot: int, patient: str, now: datetime) -> int | None:
    """Return the id of the new booking, None when no seat is free.

    Raises psycopg's UniqueViolation when the patient holds this slot already.
    """
    row = transaction.connection.execute(_BOOK, {"slot": slot, "patient": patient, "now": now}).fetchone()
    return None if row is None else int(row[0])


def give_back(transaction: Transaction, *, booking: int) -> bool:
    """Return whether the booking was there and its seat is free again."""
    return transaction.connection.execute(_CANCEL, {"booking": booking}).fetchone() is not None


def free_slots(transaction: Transaction, *, schedule: int, first: datetime, last: datetime) -> list[Slot]:
    """Return the slots of `schedule` that begin in [first, last) and have a free seat, in time order."""
    statement = (
        select(Slot)
        .where(Slot.schedule_id == schedule, Slot.starts_at >= first, Slot.starts_at < last)
        .where(col(Slot.taken) < col(Slot.seats))
        .order_by(col(Slot.starts_at))
        .execution_options(populate_existing=True)
    )
    return list(transaction.session.exec(statement))
