"""The audit trail: pending records, the chain, its anchors, and complaints."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

_APPEND_ONLY = (
    """
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the audit trail is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
    """,
    (
        "CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE ON audit_event"
        " FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    ),
    (
        "CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    ),
    (
        "CREATE TRIGGER audit_anchor_append_only BEFORE UPDATE OR DELETE ON audit_anchor"
        " FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    ),
    (
        "CREATE TRIGGER audit_anchor_no_truncate BEFORE TRUNCATE ON audit_anchor"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    ),
)


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "audit_pending",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        comment="records of committed transactions that wait to be chained",
    )
    op.create_table(
        "audit_event",
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, autoincrement=False, comment="1, 2, 3 ... without a gap"
        ),
        sa.Column(
            "chained_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="never before the previous one's",
        ),
        sa.Column("digest", sa.Text(collation="C"), nullable=False, comment="sha256 or sm3"),
        sa.Column(
            "hash",
            sa.LargeBinary(),
            nullable=False,
            comment="over previous hash, seq, chained_at and body",
        ),
        sa.Column(
            "body",
            sa.LargeBinary(),
            nullable=False,
            comment="the record; all columns below are taken from it",
        ),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("interaction", sa.Text(collation="C"), nullable=False),
        sa.Column("action", sa.Text(collation="C"), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("agent", sa.Text(collation="C"), nullable=False),
        sa.Column("patient", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "entities",
            postgresql.ARRAY(sa.Text(collation="C")),
            nullable=False,
            comment="Type/id of what it is about",
        ),
        sa.PrimaryKeyConstraint("seq", "chained_at", name="audit_event_pkey"),
        postgresql_partition_by="RANGE (chained_at)",
    )
    op.create_index("audit_event_id", "audit_event", ["id"])
    op.create_index("audit_event_agent", "audit_event", ["agent", "recorded", "seq"])
    op.create_index(
        "audit_event_patient",
        "audit_event",
        ["patient", "recorded", "seq"],
        postgresql_where=sa.text("patient IS NOT NULL"),
    )
    op.create_index("audit_event_entities", "audit_event", ["entities"], postgresql_using="gin")
    op.create_index("audit_event_recorded", "audit_event", ["recorded", "seq"])
    op.create_table(
        "audit_chain",
        sa.Column(
            "id", sa.SmallInteger(), primary_key=True, autoincrement=False, server_default=sa.text("1")
        ),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("chained_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "audit_segment",
        sa.Column("name", sa.Text(collation="C"), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="bytes"),
        sa.Column("checksum", sa.BigInteger(), nullable=False, comment="of the frames before it"),
    )
    op.create_table(
        "audit_anchor",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False, comment="anchor or prune"),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", "kind", name="audit_anchor_pkey"),
    )
    op.create_table(
        "audit_export",
        sa.Column("name", sa.Text(collation="C"), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "audit_complaint",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column(
            "event_id",
            sa.Text(collation="C"),
            nullable=True,
            comment="the record complained of; null: the access as such",
        ),
        sa.Column("patient", sa.Text(collation="C"), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False, comment="the account"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("answer_due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
    )
    op.create_index("audit_complaint_patient", "audit_complaint", ["patient", sa.text("id DESC")])
    op.create_index(
        "audit_complaint_open",
        "audit_complaint",
        ["answer_due"],
        postgresql_where=sa.text("answered_at IS NULL"),
    )
    for statement in _APPEND_ONLY:
        op.execute(statement)
