"""Subscriptions: how each stands, its numbered events, tokens of websockets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply the change."""
    op.execute("CREATE SEQUENCE subscription_revision AS bigint")
    op.create_table(
        "subscription",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("resource", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("requester_kind", sa.String(), nullable=False),
        sa.Column("requester_id", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("event_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("delivered", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('requested', 'active', 'error', 'off')", name="subscription_status"),
        sa.CheckConstraint("delivered BETWEEN 0 AND event_count", name="subscription_delivered"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "subscription_due", "subscription", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index(
        "subscription_ends", "subscription", ["ends_at"], postgresql_where=sa.text("ends_at IS NOT NULL")
    )
    op.create_table(
        "subscription_event",
        sa.Column("subscription_id", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("resource_type", sa.String(), nullable=False),
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.Column("resource_version", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("subscription_id", "number"),
    )
    op.create_index("subscription_event_occurred", "subscription_event", ["occurred_at"])
    op.create_table(
        "subscription_token",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("subscription_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("requester_kind", sa.String(), nullable=False),
        sa.Column("requester_id", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("subscription_token_expires", "subscription_token", ["expires_at"])
