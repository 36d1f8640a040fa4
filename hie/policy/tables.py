"""The table of emergency access ("break the glass"): who reaches whose record until when, and why."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, DateTime, Index, Table, Text, Uuid
from sqlmodel import SQLModel

break_glass: Final = Table(
    "break_glass",
    SQLModel.metadata,
    Column("id", Uuid, primary_key=True),
    Column("account", Text(collation="C"), nullable=False),
    Column("patient", Text(collation="C"), nullable=False),
    Column("reason_code", Text(collation="C"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    CheckConstraint("until > since", name="break_glass_ends"),
    Index("break_glass_account", "account", "patient", "until"),
    comment="emergency access; a row ends by itself",
)
