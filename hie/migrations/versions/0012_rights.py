"""Requests of persons about their data, receipts of consent, records of processing."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply the change."""
