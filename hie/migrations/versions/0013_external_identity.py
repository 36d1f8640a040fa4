"""Persons who sign in from outside."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _account(*, is_optional: bool) -> sa.Column[object]:
    reference = sa.ForeignKey("identity_account.id", ondelete="CASCADE")
    return sa.Column("account_id", sa.Uuid(), reference, nullable=is_optional)


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "identity_outside_attempt",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("browser", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("verifier", sa.String(), nullable=False),
        sa.Column("back", sa.String(), nullable=False),
        _account(is_optional=True),
        _moment("expires_at"),
    )
    op.create_index("identity_outside_attempt_expires", "identity_outside_attempt", ["expires_at"])
    op.create_table(
        "identity_outside_binding",
        sa.Column("provider", sa.String(), primary_key=True),
        sa.Column("subject", sa.String(), primary_key=True),
        _account(is_optional=False),
        sa.Column("proof", sa.String(), nullable=False),
        _moment("bound_at"),
    )
    op.create_index("identity_outside_binding_account", "identity_outside_binding", ["account_id"])
    op.create_table(
        "identity_outside_code",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("browser", sa.LargeBinary(), nullable=False),
        sa.Column("proven", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        _moment("expires_at"),
    )
    op.create_index("identity_outside_code_expires", "identity_outside_code", ["expires_at"])
    op.add_column("identity_session", sa.Column("provider", sa.String(), nullable=False, server_default=""))
    op.alter_column("identity_session", "provider", server_default=None)
