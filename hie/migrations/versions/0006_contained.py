"""Contained resources, as what a search with `_contained` and a chain may find."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "contained",
        sa.Column(
            "rid",
            sa.BigInteger(),
            nullable=False,
            comment="its rid and seq in the index tables, of negative param",
        ),
        sa.Column("container", sa.BigInteger(), nullable=False, comment="resource.rid"),
        sa.Column("container_type", sa.SmallInteger(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "key_hash",
            sa.BigInteger(),
            nullable=False,
            comment='hash64 of "#id", which references of its container carry',
        ),
    )
    op.create_index("contained_rid", "contained", ["rid"], unique=False)
    op.create_index("contained_container", "contained", ["container"], unique=False)
    op.create_index("contained_type", "contained", ["type", "container_type", "rid"], unique=False)
