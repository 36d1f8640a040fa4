"""The table of projects: for what and for whom de-identified exports are made, and who approved that."""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import SQLModel

privacy_project: Final = Table(
    "privacy_project",
    SQLModel.metadata,
    Column("id", Uuid, primary_key=True),
    Column("title", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("purpose", Text(collation="C"), nullable=False, comment="v3-ActReason"),
    Column("roles", ARRAY(Text(collation="C")), nullable=False, comment="who may export for it"),
    Column("k", Integer, nullable=False),
    Column("dates", Text(collation="C"), nullable=False, comment="year, or shifted for each patient"),
    Column("regions", SmallInteger, nullable=False, comment="0: none, 1: state, 2: city"),
    Column("secret", LargeBinary, comment="key of the pseudonyms, sealed; null once it is destroyed"),
    Column("proposed_by", Text(collation="C"), nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("approved_by", Text(collation="C")),
    Column("approved_at", DateTime(timezone=True)),
    Column("ended_by", Text(collation="C")),
    Column("ended_at", DateTime(timezone=True)),
    CheckConstraint("k >= 2", name="privacy_project_k"),
    CheckConstraint("dates IN ('year', 'shifted') AND regions BETWEEN 0 AND 2", name="privacy_project_made"),
    CheckConstraint("approved_by <> proposed_by", name="privacy_project_four_eyes"),
    CheckConstraint(
        "(approved_by IS NULL) = (approved_at IS NULL) AND (ended_by IS NULL) = (ended_at IS NULL)"
        " AND (secret IS NULL) = (ended_at IS NOT NULL)",
        name="privacy_project_state",
    ),
    Index("privacy_project_proposed", "proposed_at", "id"),
    comment="de-identified exports; ending one destroys the key of its pseudonyms",
)
