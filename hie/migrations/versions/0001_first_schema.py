"""The first schema: repository, journal, outbox, counts, bookings, demo city."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply the change."""
    op.execute("CREATE SEQUENCE resource_seq AS BIGINT")
    op.create_table(
        "case_report",
        sa.Column("condition_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("condition", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("institution", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("condition_id"),
    )
    op.create_index("case_report_day", "case_report", ["condition", "day"], unique=False)
    op.create_table(
        "daily_count",
        sa.Column("condition", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("institution", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.CheckConstraint("cases >= 0", name="daily_count_cases"),
        sa.PrimaryKeyConstraint("condition", "day", "institution"),
    )
    op.create_table(
        "demo_city",
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("filled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seed"),
    )
    op.create_table(
        "ix_date",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("lo", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hi", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_date_hi", "ix_date", ["param", "hi", "lo", "rid"], unique=False)
    op.create_index("ix_date_lo", "ix_date", ["param", "lo", "hi", "rid"], unique=False)
    op.create_index("ix_date_rid", "ix_date", ["rid"], unique=False)
    op.create_table(
        "ix_number",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("lo", sa.Numeric(), nullable=False),
        sa.Column("hi", sa.Numeric(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_number_lo", "ix_number", ["param", "lo", "hi"], unique=False)
    op.create_index("ix_number_rid", "ix_number", ["rid"], unique=False)
    op.create_table(
        "ix_quantity",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("lo", sa.Numeric(), nullable=False),
        sa.Column("hi", sa.Numeric(), nullable=False),
        sa.Column("system_hash", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.BigInteger(), nullable=False, comment="the code of the unit"),
        sa.Column("unit_hash", sa.BigInteger(), nullable=False, comment="the unit as people write it"),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_quantity_lo", "ix_quantity", ["param", "lo", "hi"], unique=False)
    op.create_index("ix_quantity_rid", "ix_quantity", ["rid"], unique=False)
    op.create_table(
        "ix_reference",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column(
            "target_hash",
            sa.BigInteger(),
            nullable=False,
            comment='hash64 of "Type/id" or of the absolute URL',
        ),
        sa.Column("target_type", sa.SmallInteger(), nullable=True),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_reference_rid", "ix_reference", ["rid"], unique=False)
    op.create_index(
        "ix_reference_target",
        "ix_reference",
        ["param", "target_hash", sa.literal_column("seq DESC")],
        unique=False,
        postgresql_include=["rid"],
    )
    op.create_table(
        "ix_string",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("norm", sa.Text(collation="C"), nullable=False),
        sa.Column("exact", sa.Text(collation="C"), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "ix_string_norm", "ix_string", ["param", "norm", sa.literal_column("seq DESC")], unique=False
    )
    op.create_index("ix_string_rid", "ix_string", ["rid"], unique=False)
    op.create_table(
        "ix_token",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.BigInteger(), nullable=False),
        sa.Column("system_hash", sa.Integer(), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "ix_token_code",
        "ix_token",
        ["param", "code_hash", sa.literal_column("seq DESC")],
        unique=False,
        postgresql_include=["system_hash", "rid"],
    )
    op.create_index("ix_token_rid", "ix_token", ["rid"], unique=False)
    op.create_table(
        "ix_uri",
        sa.Column("param", sa.Integer(), nullable=False),
        sa.Column("uri_hash", sa.BigInteger(), nullable=False),
        sa.Column("uri", sa.Text(collation="C"), nullable=False),
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "ix_uri_hash", "ix_uri", ["param", "uri_hash", sa.literal_column("seq DESC")], unique=False
    )
    op.create_index("ix_uri_rid", "ix_uri", ["rid"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False, comment="MSH-3|MSH-4; empty when unreadable"),
        sa.Column("control_id", sa.Text(), nullable=True, comment="MSH-10; null when unreadable"),
        sa.Column("event", sa.Text(), nullable=True, comment="MSH-9 as ADT^A01; null when unreadable"),
        sa.Column(
            "message_key",
            sa.LargeBinary(),
            nullable=True,
            comment="16 bytes of blake2b over sender and control id",
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="16 bytes of blake2b over raw"),
        sa.Column("raw", sa.LargeBinary(), nullable=False, comment="the bytes of the block"),
        sa.Column("charset", sa.Text(), nullable=True, comment="the Python codec that read raw"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True, comment="where it failed: read, convert, store"),
        sa.Column(
            "error",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="class, message, condition, location, expression",
        ),
        sa.Column(
            "report",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="unmapped, kept, notes of the conversion; null when there are none",
        ),
        sa.Column("ack_code", sa.Text(), nullable=False, comment="MSA-1 as answered"),
        sa.Column(
            "resources",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="versions written, as Type/id/_history/version",
        ),
        sa.Column(
            "reuses_control_id", sa.Boolean(), nullable=False, comment="MSH-10 had come with other content"
        ),
        sa.Column(
            "attempts", sa.Integer(), server_default=sa.text("1"), nullable=False, comment="times processed"
        ),
        sa.Column(
            "resends",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="times answered again",
        ),
        sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="journal_failed_with_error"),
        sa.CheckConstraint("ack_code IN ('AA', 'AE', 'AR', 'CA', 'CE', 'CR')", name="journal_ack_code"),
        sa.CheckConstraint("state IN ('stored', 'failed')", name="journal_state"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("message_key", "digest", name="journal_message"),
    )
    op.create_index(
        "journal_failed",
        "journal",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index("journal_sender", "journal", ["sender", "received_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "outbox_due", "outbox", ["due_at"], unique=False, postgresql_where=sa.text("failed_at IS NULL")
    )
    op.create_table(
        "resource",
        sa.Column(
            "rid",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the seq of the first version",
        ),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "key_hash", sa.BigInteger(), nullable=False, comment='hash64 of "Type/id", which references carry'
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column(
            "method",
            sa.SmallInteger(),
            nullable=False,
            comment="what made this version: 1 POST, 2 PUT, 3 DELETE",
        ),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            comment="16 bytes of blake2b over the content without meta.versionId and meta.lastUpdated",
        ),
        sa.Column("body", sa.Text(), nullable=True, comment="null when deleted"),
        sa.PrimaryKeyConstraint("rid"),
        sa.UniqueConstraint("type", "id", name="resource_type_id"),
        postgresql_with={"fillfactor": 90},
    )
    op.create_index("resource_key_hash", "resource", ["key_hash"], unique=False)
    op.create_index("resource_type_seq", "resource", ["type", sa.literal_column("seq DESC")], unique=False)
    op.create_table(
        "resource_history",
        sa.Column("rid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.SmallInteger(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("rid", "version", name="resource_history_pkey"),
        comment="superseded versions only",
    )
    op.create_index("resource_history_seq", "resource_history", [sa.literal_column("seq DESC")], unique=False)
    op.create_table(
        "schedule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("institution", sa.String(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("practitioner", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "sender",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("application", sa.String(), nullable=False),
        sa.Column("facility", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=True),
        sa.Column("charset", sa.String(), nullable=True),
        sa.Column("identifier_base", sa.String(), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_registered", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("application", "facility", name="sender_name"),
    )
    op.create_table(
        "surveillance_site",
        sa.Column("institution", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("division", sa.String(), nullable=False),
        sa.Column("division_name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("institution"),
    )
    op.create_table(
        "slot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.text("int8range(schedule_id, schedule_id, '[]')"), "="),
            (sa.text("tstzrange(starts_at, ends_at)"), "&&"),
            using="gist",
            name="slot_no_overlap",
        ),
        sa.CheckConstraint("starts_at < ends_at", name="slot_order"),
        sa.CheckConstraint("taken BETWEEN 0 AND seats", name="slot_seats"),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("slot_schedule_start", "slot", ["schedule_id", "starts_at"], unique=False)
    op.create_table(
        "booking",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('booked', 'cancelled')", name="booking_state"),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "booking_once",
        "booking",
        ["slot_id", "patient"],
        unique=True,
        postgresql_where=sa.text("state = 'booked'"),
    )
    op.execute("CREATE STATISTICS ix_token_param_code (mcv, ndistinct) ON param, code_hash FROM ix_token")
    op.execute(
        "CREATE STATISTICS ix_reference_param_target (mcv, ndistinct) ON param, target_hash FROM ix_reference"
    )
