"""What the access policy asks: rules of Consents, and emergency access."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _codes(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, postgresql.ARRAY(sa.Text(collation="C")), comment="null: any")


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "consent_rule",
        _id("consent"),
        _id("patient"),
        sa.Column(
            "depth", sa.SmallInteger(), nullable=False, comment="the deepest rule that applies decides"
        ),
        sa.Column("is_denied", sa.Boolean(), nullable=False),
        _codes("parties"),
        _codes("purposes"),
        _codes("classes"),
        _codes("labels"),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("until", sa.DateTime(timezone=True)),
    )
    op.create_index("consent_rule_patient", "consent_rule", ["patient", "consent"])
    op.create_index("consent_rule_consent", "consent_rule", ["consent"])
    op.create_table(
        "break_glass",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _id("account"),
        _id("patient"),
        sa.Column("reason_code", sa.Text(collation="C"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("until > since", name="break_glass_ends"),
        comment="emergency access; a row ends by itself",
    )
    op.create_index("break_glass_account", "break_glass", ["account", "patient", "until"])
