"""`hie worker`: delivers what transactions promised."""

from typing import Final

EXAMPLES: Final = "Example: HIE_BROKER_URL=redis://127.0.0.1:6379/0 hie worker"


def run() -> None:
    """Run the Celery worker with its clock: deliver the outbox, refresh the counts."""
    from hie.core.settings import Settings
    from hie.worker import work

    work(Settings())
