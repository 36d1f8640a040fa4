"""Persons who sign in from outside."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply the change."""
