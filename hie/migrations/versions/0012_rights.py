"""Requests of persons about their data, receipts of consent, records of processing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

_OPEN = "state IN ('requested', 'accepted')"
_APPEND_ONLY = """
CREATE FUNCTION rights_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: it is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
"""


def _code(name: str, *, is_optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=is_optional)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def upgrade() -> None:
    """Apply the change."""
    _requests()
    _receipts()
    op.create_table(
        "rights_processing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        _code("state"),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        _code("made_by"),
        _moment("made_at"),
        sa.PrimaryKeyConstraint("id", "version", name="rights_processing_pkey"),
        sa.CheckConstraint("state IN ('active', 'retired')", name="rights_processing_state"),
        comment="the register of processing, every version of it; append-only",
    )
    op.execute(_APPEND_ONLY)
    for table in ("rights_step", "rights_receipt", "rights_processing"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION rights_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION rights_append_only()"
        )


def _requests() -> None:
    op.create_table(
        "rights_request",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _code("kind"),
        _code("patient"),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="the element that is to be corrected; empty for others",
        ),
        _code("account"),
        sa.Column("requester", postgresql.JSONB(), nullable=False, comment="who asked, without the session"),
        _code("state"),
        _moment("made_at"),
        _moment("due_at"),
        sa.Column(
            "details", postgresql.JSONB(), comment="what the person wrote; null once the record is erased"
        ),
        sa.Column("job", sa.Text(collation="C"), comment="of the copy"),
        sa.CheckConstraint("kind IN ('copy', 'correction', 'erasure')", name="rights_request_kind"),
        sa.CheckConstraint(
            "state IN ('requested', 'accepted', 'rejected', 'completed', 'cancelled')",
            name="rights_request_state",
        ),
        comment="requests for a copy, a correction or an erasure",
    )
    op.create_index(
        "rights_request_once",
        "rights_request",
        ["patient", "kind", "subject"],
        unique=True,
        postgresql_where=sa.text(_OPEN),
    )
    op.create_index("rights_request_due", "rights_request", ["due_at", "id"], postgresql_where=sa.text(_OPEN))
    op.create_index("rights_request_account", "rights_request", ["account", "made_at"])
    op.create_index("rights_request_made", "rights_request", ["made_at", "id"])
    op.create_table(
        "rights_step",
        sa.Column("request", sa.Uuid(), sa.ForeignKey("rights_request.id"), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False, autoincrement=False),
        _code("action"),
        _code("state"),
        _moment("at"),
        _code("by"),
        _code("ground", is_optional=True),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request", "number", name="rights_step_pkey"),
        comment="what was done to a request, in order; append-only",
    )


def _receipts() -> None:
    op.create_table(
        "rights_key",
        sa.Column("id", sa.Text(collation="C"), primary_key=True, comment="SHA-256 of the public key, hex"),
        _code("algorithm"),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=False, comment="an envelope"),
        _moment("made_at"),
        comment="the keys that receipts are signed with; the newest of an algorithm signs",
    )
    op.create_table(
        "rights_receipt",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _code("consent"),
        sa.Column("version", sa.Integer(), nullable=False),
        _code("patient"),
        _code("event"),
        _moment("made_at"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="the receipt as it is signed"),
        _code("digest_name"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), sa.ForeignKey("rights_key.id"), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("consent", "version", name="rights_receipt_version"),
        comment="receipts of consents given and withdrawn; append-only",
    )
    op.create_index("rights_receipt_patient", "rights_receipt", ["patient", "made_at"])
