"""The tables of the gateway: the journal of received messages, and the senders with their profiles.

Statements on the journal stand in `hl7_gateway.journal`, those on senders in `hl7_gateway.senders`.
"""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class MessageState(StrEnum):
    """What became of a message: it is stored, or it failed at the stage that the journal names."""

    STORED = "stored"
    FAILED = "failed"


journal = Table(
    "journal",
    SQLModel.metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("sender", Text, nullable=False, comment="MSH-3|MSH-4; empty when unreadable"),
    Column("control_id", Text, comment="MSH-10; null when unreadable"),
    Column("event", Text, comment="MSH-9 as ADT^A01; null when unreadable"),
    Column("message_key", LargeBinary, comment="16 bytes of blake2b over sender and control id"),
    Column("digest", LargeBinary, nullable=False, comment="16 bytes of blake2b over raw"),
    Column("raw", LargeBinary, nullable=False, comment="the bytes of the block, or their envelope"),
    Column("charset", Text, comment="the Python codec that read raw"),
    Column("state", Text, nullable=False),
    Column("stage", Text, comment="where it failed: read, convert, store"),
    Column("error", JSONB, comment="class, message, condition, location, expression"),
    Column("report", JSONB, comment="unmapped, kept, notes of the conversion; null when there are none"),
    Column("ack_code", Text, nullable=False, comment="MSA-1 as answered"),
    Column("resources", JSONB, comment="versions written, as Type/id/_history/version"),
    Column("reuses_control_id", Boolean, nullable=False, comment="MSH-10 had come with other content"),
    Column("attempts", Integer, nullable=False, server_default=text("1"), comment="times processed"),
    Column("resends", Integer, nullable=False, server_default=text("0"), comment="times answered again"),
    Column("sent_at", Text, comment="MSH-7 as written; null when unreadable"),
    Column(
        "is_sealed",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="raw and details are envelopes",
    ),
    Column("details", LargeBinary, comment="envelope of error and report, which quote the message"),
    UniqueConstraint("message_key", "digest", name="journal_message"),
    CheckConstraint("state IN ('stored', 'failed')", name="journal_state"),
    CheckConstraint("ack_code IN ('AA', 'AE', 'AR', 'CA', 'CE', 'CR')", name="journal_ack_code"),
    CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="journal_failed_with_error"),
    Index("journal_sender", "sender", "received_at"),
    Index("journal_failed", "received_at", postgresql_where=text("state = 'failed'")),
)


class SenderProfile(SQLModel, table=True):
    """A sending application of a facility (MSH-3, MSH-4). What is null is as the settings say.

    A sender that nobody registered is entered when its first message comes, so that an operator sees it.
    """

    __tablename__: ClassVar[str] = "sender"
    __table_args__ = (UniqueConstraint("application", "facility", name="sender_name"),)

    id: int | None = Field(default=None, primary_key=True)
    application: str
    facility: str
    zone: str | None = None
    charset: str | None = None
    identifier_base: str | None = None
    is_enabled: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    is_registered: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    first_seen_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
