"""The tables of the audit trail.

`audit_pending` takes what transactions record, without an order; the chain's one writer moves it, and what
the logs of reads hold, into `audit_event`, where nothing is changed any more: the database refuses UPDATE,
DELETE and TRUNCATE. It is partitioned by the month of chaining, so that retention drops whole months,
which are the beginning of the chain. Not here: statements (`hie.core.audit.chain`, `.queries`).
"""

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.event import listen
from sqlmodel import SQLModel

_METADATA = SQLModel.metadata

audit_pending = Table(
    "audit_pending",
    _METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    comment="records of committed transactions that wait to be chained",
)

audit_event = Table(
    "audit_event",
    _METADATA,
    Column("seq", BigInteger, nullable=False, autoincrement=False, comment="1, 2, 3 ... without a gap"),
    Column("chained_at", DateTime(timezone=True), nullable=False, comment="never before the previous one's"),
    Column("digest", Text(collation="C"), nullable=False, comment="sha256 or sm3"),
    Column("hash", LargeBinary, nullable=False, comment="over previous hash, seq, chained_at and body"),
    Column("body", LargeBinary, nullable=False, comment="the record; all columns below are taken from it"),
    Column("id", Text(collation="C"), nullable=False),
    Column("recorded", DateTime(timezone=True), nullable=False),
    Column("kind", Text(collation="C"), nullable=False),
    Column("interaction", Text(collation="C"), nullable=False),
    Column("action", Text(collation="C"), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("agent", Text(collation="C"), nullable=False),
    Column("patient", Text(collation="C")),
    Column("entities", ARRAY(Text(collation="C")), nullable=False, comment="Type/id of what it is about"),
    PrimaryKeyConstraint("seq", "chained_at", name="audit_event_pkey"),
    postgresql_partition_by="RANGE (chained_at)",
)
Index("audit_event_id", audit_event.c.id)
# Read backwards, newest first.
Index("audit_event_agent", audit_event.c.agent, audit_event.c.recorded, audit_event.c.seq)
Index(
    "audit_event_patient",
    audit_event.c.patient,
    audit_event.c.recorded,
    audit_event.c.seq,
    postgresql_where=audit_event.c.patient.is_not(None),
)
Index("audit_event_entities", audit_event.c.entities, postgresql_using="gin")
Index("audit_event_recorded", audit_event.c.recorded, audit_event.c.seq)

# One row: the end of the chain.
audit_chain = Table(
    "audit_chain",
    _METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("chained_at", DateTime(timezone=True), nullable=False),
)

# How far the log of a process is chained; one row for each of its files that is still there.
audit_segment = Table(
    "audit_segment",
    _METADATA,
    Column("name", Text(collation="C"), primary_key=True),
    Column("position", BigInteger, nullable=False, comment="bytes"),
    Column("checksum", BigInteger, nullable=False, comment="of the frames before it"),
)

# Hashes of the chain at some places, kept outside of it too; "prune" is the last record that retention took.
audit_anchor = Table(
    "audit_anchor",
    _METADATA,
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text(collation="C"), nullable=False, comment="anchor or prune"),
    Column("hash", LargeBinary, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("seq", "kind", name="audit_anchor_pkey"),
)

# How far each receiver of the trail has got.
audit_export = Table(
    "audit_export",
    _METADATA,
    Column("name", Text(collation="C"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

# What a citizen complains of in "who looked at my record", and what became of it.
audit_complaint = Table(
    "audit_complaint",
    _METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("event_id", Text(collation="C"), comment="the record complained of; null: the access as such"),
    Column("patient", Text(collation="C"), nullable=False),
    Column("made_by", Text, nullable=False, comment="the account"),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),
    Column("answer_due", DateTime(timezone=True), nullable=False),
    Column("answered_at", DateTime(timezone=True)),
    Column("answered_by", Text),
    Column("answer", Text),
)
Index("audit_complaint_patient", audit_complaint.c.patient, audit_complaint.c.id.desc())
Index(
    "audit_complaint_open",
    audit_complaint.c.answer_due,
    postgresql_where=audit_complaint.c.answered_at.is_(None),
)

APPEND_ONLY: Final = """
CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the audit trail is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
"""
# The trigger for rows comes with each partition; that for TRUNCATE is made with it (hie.core.audit.months).
GUARDS: Final = (
    (
        "CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE ON audit_event"
        " FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    ),
    (
        "CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    ),
)
ANCHOR_GUARDS: Final = (
    (
        "CREATE TRIGGER audit_anchor_append_only BEFORE UPDATE OR DELETE ON audit_anchor"
        " FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    ),
    (
        "CREATE TRIGGER audit_anchor_no_truncate BEFORE TRUNCATE ON audit_anchor"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    ),
)

for _table, _statements in ((audit_event, GUARDS), (audit_anchor, ANCHOR_GUARDS)):
    for _statement in (APPEND_ONLY.replace("%", "%%"), *_statements):
        listen(_table, "after_create", DDL(_statement))  # type: ignore[no-untyped-call] # SQLAlchemy has no hints for it
