"""The tables of the rights of persons: requests and their steps, receipts and their keys, the register.

Steps, receipts and entries of the register are append-only: a trigger of the migration refuses the rest.
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

_OPEN: Final = "state IN ('requested', 'accepted')"


def _code(name: str, *, is_optional: bool = False) -> Column[str]:
    return Column(name, Text(collation="C"), nullable=is_optional)


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False)


rights_request: Final = Table(
    "rights_request",
    SQLModel.metadata,
    Column("id", Uuid, primary_key=True),
    _code("kind"),
    _code("patient"),
    Column("subject", Text, nullable=False, comment="the element that is to be corrected; empty for others"),
    _code("account"),
    Column("requester", JSONB, nullable=False, comment="who asked, without the session"),
    _code("state"),
    _moment("made_at"),
    _moment("due_at"),
    Column("details", JSONB, comment="what the person wrote; null once the record is erased"),
    Column("job", Text(collation="C"), comment="of the copy"),
    CheckConstraint("kind IN ('copy', 'correction', 'erasure')", name="rights_request_kind"),
    CheckConstraint(
        "state IN ('requested', 'accepted', 'rejected', 'completed', 'cancelled')",
        name="rights_request_state",
    ),
    Index(
        "rights_request_once",
        "patient",
        "kind",
        "subject",
        unique=True,
        postgresql_where=text(_OPEN),
    ),
    Index("rights_request_due", "due_at", "id", postgresql_where=text(_OPEN)),
    Index("rights_request_account", "account", "made_at"),
    Index("rights_request_made", "made_at", "id"),
    comment="requests for a copy, a correction or an erasure",
)
rights_step: Final = Table(
    "rights_step",
    SQLModel.metadata,
    Column("request", Uuid, ForeignKey("rights_request.id"), nullable=False),
    Column("number", SmallInteger, nullable=False, autoincrement=False),
    _code("action"),
    _code("state"),
    _moment("at"),
    _code("by"),
    _code("ground", is_optional=True),
    Column("remark", Text, nullable=False),
    PrimaryKeyConstraint("request", "number", name="rights_step_pkey"),
    comment="what was done to a request, in order; append-only",
)
rights_key: Final = Table(
    "rights_key",
    SQLModel.metadata,
    Column("id", Text(collation="C"), primary_key=True, comment="SHA-256 of the public key, hex"),
    _code("algorithm"),
    Column("public", LargeBinary, nullable=False),
    Column("private", LargeBinary, nullable=False, comment="an envelope"),
    _moment("made_at"),
    comment="the keys that receipts are signed with; the newest of an algorithm signs",
)
rights_receipt: Final = Table(
    "rights_receipt",
    SQLModel.metadata,
    Column("id", Uuid, primary_key=True),
    _code("consent"),
    Column("version", Integer, nullable=False),
    _code("patient"),
    _code("event"),
    _moment("made_at"),
    Column("body", LargeBinary, nullable=False, comment="the receipt as it is signed"),
    _code("digest_name"),
    Column("digest", LargeBinary, nullable=False),
    Column("key", Text(collation="C"), ForeignKey("rights_key.id"), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    UniqueConstraint("consent", "version", name="rights_receipt_version"),
    Index("rights_receipt_patient", "patient", "made_at"),
    comment="receipts of consents given and withdrawn; append-only",
)
rights_processing: Final = Table(
    "rights_processing",
    SQLModel.metadata,
    Column("id", Uuid, nullable=False),
    Column("version", Integer, nullable=False, autoincrement=False),
    _code("state"),
    Column("content", JSONB, nullable=False),
    _code("made_by"),
    _moment("made_at"),
    PrimaryKeyConstraint("id", "version", name="rights_processing_pkey"),
    CheckConstraint("state IN ('active', 'retired')", name="rights_processing_state"),
    comment="the register of processing, every version of it; append-only",
)
