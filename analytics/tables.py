"""Aggregated counts, and the cases that the shared record adds to them."""

from datetime import date

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel


class DailyCountRow(SQLModel, table=True):
    """Cases of one condition group on one day at one institution, as handed over in bulk."""

    __tablename__ = "daily_count"
    __table_args__ = (CheckConstraint("cases >= 0", name="daily_count_cases"),)

    condition: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    institution: str = Field(primary_key=True)
    division: str
    cases: int


class SurveillanceSiteRow(SQLModel, table=True):
    """An institution that reports cases: its identifier value (MSH-4), its division (GB/T 2260)."""

    __tablename__ = "surveillance_site"

    institution: str = Field(primary_key=True)
    name: str
    division: str
    division_name: str


class CaseReport(SQLModel, table=True):
    """One case that the early warning counts: a Condition of the record, by the newest version seen.

    `condition_id` and `version` make redelivery harmless and keep an older
    version from replacing a newer one; `condition` is empty for a Condition
    that is no case any more.
    """

    __tablename__ = "case_report"
    __table_args__ = (Index("case_report_day", "condition", "day"),)

    condition_id: str = Field(primary_key=True)
    version: int
    condition: str
    day: date
    institution: str
