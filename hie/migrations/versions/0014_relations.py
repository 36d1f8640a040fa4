"""Relations of treatment as the access decision reads them."""

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply the change."""
