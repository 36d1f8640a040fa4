"""No seat is given twice, no two slots of a schedule overlap, and time rules hold."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.rules import Stretch, divide, may_book
from booking.service import Appointments
from booking.tables import Schedule
from hie.core.db.database import Database
from hie.core.errors import ConflictError, ExchangeError, NotFoundError, RequestError

NOW = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
SESSION = Stretch(NOW + timedelta(hours=8), NOW + timedelta(hours=10))


class _At:
    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


def _publish(database: Database, seats: int) -> list[int]:
    with database.transaction() as transaction:
        schedule = Schedule(institution="LCH001", department="呼吸内科", practitioner="Practitioner/1")
        slots = Appointments(_At(NOW)).publish(
            transaction, schedule, SESSION, length=timedelta(minutes=30), seats=seats
        )
        return [slot.id or 0 for slot in slots]


def test_rivals_for_the_last_seats_get_exactly_as_many_as_there_are(database: Database) -> None:
    slot = _publish(database, seats=5)[0]
    won: list[int] = []
    lost: list[ExchangeError] = []

    def rival(number: int) -> None:
        try:
            with database.transaction() as transaction:
                won.append(Appointments(_At(NOW)).book(transaction, slot=slot, patient=f"Patient/{number}"))
        except ConflictError as error:
            lost.append(error)

    threads = [threading.Thread(target=rival, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(set(won)), len(lost)) == (5, 19)
    with database.transaction() as transaction:
        row = transaction.connection.execute("SELECT taken FROM slot WHERE id = %s", (slot,)).fetchone()
        assert row == (5,)


def test_patient_books_a_slot_once_until_it_is_cancelled(database: Database) -> None:
    slot = _publish(database, seats=2)[0]
    appointments = Appointments(_At(NOW))
    with database.transaction() as transaction:
        booking = appointments.book(transaction, slot=slot, patient="Patient/1")
        with pytest.raises(ConflictError, match=f"The patient holds Slot/{slot} already"):
            appointments.book(transaction, slot=slot, patient="Patient/1")
        appointments.cancel(transaction, booking=booking)
        with pytest.raises(ConflictError, match="is not booked"):
            appointments.cancel(transaction, booking=booking)
        appointments.book(transaction, slot=slot, patient="Patient/1")
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT taken FROM slot WHERE id = %s", (slot,)).fetchone() == (
            1,
        )


def test_slots_of_one_schedule_never_overlap(database: Database) -> None:
    with database.transaction() as transaction:
        appointments = Appointments(_At(NOW))
        schedule = Schedule(institution="LCH001", department="儿科", practitioner="Practitioner/2")
        appointments.publish(transaction, schedule, SESSION, length=timedelta(minutes=30), seats=1)
        late = Stretch(SESSION.starts_at + timedelta(minutes=15), SESSION.ends_at + timedelta(hours=1))
        with pytest.raises(ConflictError, match="overlaps"):
            appointments.publish(transaction, schedule, late, length=timedelta(minutes=30), seats=1)
        after = Stretch(SESSION.ends_at, SESSION.ends_at + timedelta(hours=1))
        assert (
            len(appointments.publish(transaction, schedule, after, length=timedelta(minutes=30), seats=1))
            == 2
        )
    with database.transaction() as transaction:
        free = Appointments(_At(NOW)).free(
            transaction, schedule=schedule.id or 0, first=SESSION.starts_at, last=after.ends_at
        )
        assert len(free) == 6


def test_slot_that_is_gone_begun_or_too_far_is_refused(database: Database) -> None:
    slot = _publish(database, seats=1)[0]
    with database.transaction() as transaction:
        with pytest.raises(NotFoundError, match="Slot/999999 does not exist"):
            Appointments(_At(NOW)).book(transaction, slot=999999, patient="Patient/1")
        with pytest.raises(RequestError, match="has begun"):
            Appointments(_At(SESSION.starts_at)).book(transaction, slot=slot, patient="Patient/1")
        with pytest.raises(RequestError, match="14 days"):
            Appointments(_At(NOW - timedelta(days=30))).book(transaction, slot=slot, patient="Patient/1")


@given(st.integers(0, 600), st.integers(1, 120))
def test_division_fills_the_session_without_gap_or_overlap(minutes: int, length: int) -> None:
    session = Stretch(NOW, NOW + timedelta(minutes=minutes))
    parts = divide(session, timedelta(minutes=length))
    assert len(parts) == minutes // length
    assert all(first.ends_at == second.starts_at for first, second in pairwise(parts))
    assert all(session.starts_at <= part.starts_at < part.ends_at <= session.ends_at for part in parts)


@given(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)))
def test_slot_is_bookable_only_within_its_window(distance: timedelta) -> None:
    decision = may_book(NOW + distance, now=NOW)
    assert decision.is_allowed == (timedelta(0) < distance <= timedelta(days=14))
    assert decision.is_allowed or decision.reason
