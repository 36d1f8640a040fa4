"""Schedules, slots and bookings; the constraints carry the invariants.

- Two slots of one schedule never overlap (exclusion constraint; plain GiST, no extension).
- A slot never holds more bookings than seats (`taken` between 0 and `seats`).
- A patient holds a slot at most once at a time (partial unique index).
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field, SQLModel


class BookingState(StrEnum):
    """Where a booking stands, in words of the FHIR Appointment status."""

    BOOKED = "booked"
    CANCELLED = "cancelled"


class Schedule(SQLModel, table=True):
    """What can be booked: a practitioner of a department in an institution."""

    __tablename__ = "schedule"

    id: int | None = Field(default=None, primary_key=True)
    institution: str
    department: str
    practitioner: str


class Slot(SQLModel, table=True):
    """A stretch of time of one schedule with a number of seats."""

    __tablename__ = "slot"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="slot_order"),
        CheckConstraint("taken BETWEEN 0 AND seats", name="slot_seats"),
        ExcludeConstraint(
            (text("int8range(schedule_id, schedule_id, '[]')"), "="),
            (text("tstzrange(starts_at, ends_at)"), "&&"),
            using="gist",
            name="slot_no_overlap",
        ),
        Index("slot_schedule_start", "schedule_id", "starts_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    schedule_id: int = Field(sa_column=Column(ForeignKey("schedule.id"), nullable=False))
    starts_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ends_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    seats: int
    taken: int = 0


class Booking(SQLModel, table=True):
    """One seat of a slot, held by a patient (a FHIR reference)."""

    __tablename__ = "booking"
    __table_args__ = (
        Index("booking_once", "slot_id", "patient", unique=True, postgresql_where=text("state = 'booked'")),
        CheckConstraint("state IN ('booked', 'cancelled')", name="booking_state"),
    )

    id: int | None = Field(default=None, primary_key=True)
    slot_id: int = Field(sa_column=Column(ForeignKey("slot.id"), nullable=False))
    patient: str
    state: BookingState = Field(default=BookingState.BOOKED, sa_column=Column(String, nullable=False))
    booked_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
