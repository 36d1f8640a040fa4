"""Bodies of resources and the journal as envelopes."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply the change."""
