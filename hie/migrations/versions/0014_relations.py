"""Relations of treatment as the access decision reads them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply the change."""
    # The notice, the early end and the review of an emergency access.
    for column in (
        sa.Column("noticed_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="where it was ended early"),
        sa.Column("reviewed_at", sa.DateTime(timezone=True)),
        sa.Column("reviewed_by", sa.Text(collation="C")),
        sa.Column("is_justified", sa.Boolean()),
        sa.Column("remark", sa.Text()),
    ):
        op.add_column("break_glass", column)
    op.create_index(
        "break_glass_unreviewed",
        "break_glass",
        ["since"],
        postgresql_where=sa.text("reviewed_at IS NULL"),
    )
    # Which Consents a changed CareTeam is named by.
    op.create_index("consent_rule_parties", "consent_rule", ["parties"], postgresql_using="gin")
    _create_projects()


def _create_projects() -> None:
    """Create the projects of de-identified exports."""
    op.create_table(
        "privacy_project",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(collation="C"), nullable=False, comment="v3-ActReason"),
        sa.Column(
            "roles",
            postgresql.ARRAY(sa.Text(collation="C")),
            nullable=False,
            comment="who may export for it",
        ),
        sa.Column("k", sa.Integer(), nullable=False),
        sa.Column(
            "dates", sa.Text(collation="C"), nullable=False, comment="year, or shifted for each patient"
        ),
        sa.Column("regions", sa.SmallInteger(), nullable=False, comment="0: none, 1: state, 2: city"),
        sa.Column(
            "secret", sa.LargeBinary(), comment="key of the pseudonyms, sealed; null once it is destroyed"
        ),
        sa.Column("proposed_by", sa.Text(collation="C"), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(collation="C")),
        sa.Column("approved_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.Text(collation="C")),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("k >= 2", name="privacy_project_k"),
        sa.CheckConstraint(
            "dates IN ('year', 'shifted') AND regions BETWEEN 0 AND 2", name="privacy_project_made"
        ),
        sa.CheckConstraint("approved_by <> proposed_by", name="privacy_project_four_eyes"),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approved_at IS NULL) AND (ended_by IS NULL) = (ended_at IS NULL)"
            " AND (secret IS NULL) = (ended_at IS NOT NULL)",
            name="privacy_project_state",
        ),
        comment="de-identified exports; ending one destroys the key of its pseudonyms",
    )
    op.create_index("privacy_project_proposed", "privacy_project", ["proposed_at", "id"])
