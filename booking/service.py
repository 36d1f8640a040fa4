"""Appointments: publish the slots of a session, book a seat, cancel it. Never commits."""

from datetime import datetime, timedelta

from psycopg.errors import ExclusionViolation, UniqueViolation
from sqlalchemy.exc import IntegrityError

from booking import queries
from booking.rules import DEFAULT_WINDOW, Stretch, divide, may_book
from booking.tables import Schedule, Slot
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, NotFoundError, RequestError


class Appointments:
    """The appointment service of all institutions."""

    def __init__(self, clock: Clock, *, window: timedelta = DEFAULT_WINDOW) -> None:
        """Take the clock and how long before its begin a slot may be booked."""
        self._clock = clock
        self._window = window

    def publish(
        self, transaction: Transaction, schedule: Schedule, session: Stretch, *, length: timedelta, seats: int
    ) -> list[Slot]:
        """Store the slots of a session of `schedule` and return them.

        Raises ConflictError when one overlaps a slot that is there, RequestError for a session that is none.
        """
        if seats < 1:
            raise RequestError(f"A slot of {seats} seats cannot be booked")
        if schedule.id is None:
            transaction.session.add(schedule)
            transaction.session.flush()
        slots = [
            Slot(schedule_id=schedule.id or 0, starts_at=part.starts_at, ends_at=part.ends_at, seats=seats)
            for part in divide(session, length)
        ]
        try:
            with transaction.session.begin_nested():
                transaction.session.add_all(slots)
                transaction.session.flush()
        except IntegrityError as error:
            if not isinstance(error.orig, ExclusionViolation):
                raise
            raise ConflictError(f"The session overlaps a slot of Schedule/{schedule.id}") from error
        return slots

    def book(self, transaction: Transaction, *, slot: int, patient: str) -> int:
        """Book one seat of `slot` for `patient` (a FHIR reference); return the booking's id.

        Raises NotFoundError, RequestError when the slot may not be booked now, ConflictError when it is full
        or the patient holds it already.
        """
        found = transaction.session.get(Slot, slot, populate_existing=True)
        if found is None:
            raise NotFoundError(f"Slot/{slot} does not exist")
        now = self._clock.now()
        decision = may_book(found.starts_at, now=now, window=self._window)
        if not decision.is_allowed:
            raise RequestError(f"Slot/{slot} cannot be booked: {decision.reason}")
        try:
            with transaction.connection.transaction():
                booking = queries.take_seat(transaction, slot=slot, patient=patient, now=now)
        except UniqueViolation as error:
            raise ConflictError(f"The patient holds Slot/{slot} already") from error
        if booking is None:
            raise ConflictError(f"Slot/{slot} is full")
        return booking

    def cancel(self, transaction: Transaction, *, booking: int) -> None:
        """Cancel a booking and free its seat; raises ConflictError when it is not booked."""
        if not queries.give_back(transaction, booking=booking):
            raise ConflictError(f"Booking {booking} is not booked")

    def free(self, transaction: Transaction, *, schedule: int, first: datetime, last: datetime) -> list[Slot]:
        """Return the slots of `schedule` that begin in [first, last) and have a free seat, in time order."""
        return queries.free_slots(transaction, schedule=schedule, first=first, last=last)
