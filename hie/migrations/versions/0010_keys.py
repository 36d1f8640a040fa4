"""Keys of encryption at rest: key-encryption keys by name, data keys wrapped by them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "key_encryption_key",
        sa.Column("id", sa.Text(collation="C"), primary_key=True, comment="as the provider knows it"),
        sa.Column("provider", sa.Text(collation="C"), nullable=False, comment="file, environment, ..."),
        sa.Column("is_current", sa.Boolean(), nullable=False, comment="new data keys are wrapped by it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "key_encryption_key_current",
        "key_encryption_key",
        ["is_current"],
        unique=True,
        postgresql_where=sa.text("is_current"),
    )
    op.create_table(
        "data_key",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(),
            primary_key=True,
            comment="what headers of envelopes name",
        ),
        sa.Column(
            "scope",
            sa.Text(collation="C"),
            nullable=False,
            comment="what it protects: Patient/1, system, ...",
        ),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=False,
            comment="1, 2 ...; the newest of the suite that is not destroyed seals",
        ),
        sa.Column("algorithm", sa.SmallInteger(), nullable=False, comment="1: AES-256-GCM, 2: SM4-GCM"),
        sa.Column(
            "key_encryption_key_id",
            sa.Text(collation="C"),
            sa.ForeignKey("key_encryption_key.id"),
            nullable=True,
        ),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True, comment="null once it is destroyed"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("scope", "version", name="data_key_scope_version"),
        sa.CheckConstraint(
            "(wrapped IS NULL) = (destroyed_at IS NOT NULL)"
            " AND (wrapped IS NULL) = (key_encryption_key_id IS NULL)",
            name="data_key_destroyed",
        ),
    )
    op.create_index("data_key_key_encryption_key", "data_key", ["key_encryption_key_id", "id"])
