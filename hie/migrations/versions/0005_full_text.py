"""Full text behind the commit: which versions the index of words may lack."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "full_text_range",
        sa.Column("above", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=True, comment="null: all there will be"),
        sa.CheckConstraint("last > above", name="full_text_range_order"),
        sa.PrimaryKeyConstraint("above"),
        comment="values of resource_seq, above < seq <= last, whose current versions may lack their words",
    )
    op.execute("INSERT INTO full_text_range (above) VALUES (0)")
    op.execute("ALTER INDEX ix_text_words RESET (fastupdate)")
    op.execute("ALTER INDEX ix_text_words SET (gin_pending_list_limit = 512)")
