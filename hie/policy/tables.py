"""The table of emergency access ("break the glass"): who reaches whose record until when, and why."""

from typing import Final

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Index, Table, Text, Uuid, text
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
    Column("noticed_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True), comment="where it was ended early"),
    Column("reviewed_at", DateTime(timezone=True)),
    Column("reviewed_by", Text(collation="C")),
    Column("is_justified", Boolean),
    Column("remark", Text),
    CheckConstraint("until > since", name="break_glass_ends"),
    Index("break_glass_account", "account", "patient", "until"),
    Index("break_glass_unreviewed", "since", postgresql_where=text("reviewed_at IS NULL")),
    comment="emergency access; a row ends by itself",
)
