"""The tables of jobs: what was asked, how far it is, what came of it.

A job is worked by whoever holds its lease: `claim` counts the holders, so that one that lost its
lease without noticing can save nothing more. Not here: statements (`fhir_server.jobs.queue`).
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from hie.core.fhir.json import JsonObject


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def _moment(*, is_required: bool = False) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=not is_required)


class JobRow(SQLModel, table=True):
    """One job. `parameters` are what its kind was asked, `cursor` is how far it is."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="job_state"),
        Index("job_waiting", "created_at", postgresql_where=text("state IN ('queued', 'running')")),
        Index("job_expires", "expires_at"),
    )

    id: UUID = Field(primary_key=True)
    kind: str
    state: str = JobState.QUEUED
    request: str
    requester: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    parameters: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    cursor: JsonObject | None = Field(default=None, sa_column=Column(JSONB))
    progress: str = ""
    output: JsonObject | None = Field(default=None, sa_column=Column(JSONB))
    error: JsonObject | None = Field(default=None, sa_column=Column(JSONB))
    claim: int = 0
    attempts: int = 0
    leased_until: datetime | None = Field(default=None, sa_column=_moment())
    created_at: datetime = Field(sa_column=_moment(is_required=True))
    finished_at: datetime | None = Field(default=None, sa_column=_moment())
    expires_at: datetime | None = Field(default=None, sa_column=_moment())


class JobPartRow(SQLModel, table=True):
    """A part of a job that is done; written in the transaction that did it, so that none is done twice."""

    __tablename__ = "job_part"

    job_id: UUID = Field(sa_column=Column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True))
    number: int = Field(primary_key=True)
    result: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
