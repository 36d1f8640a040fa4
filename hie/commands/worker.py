"""`hie worker`: delivers what transactions promised, and works jobs."""

from typing import Annotated, Final

import typer

EXAMPLES: Final = "Example: HIE_BROKER_URL=redis://127.0.0.1:6379/0 hie worker"


def run(
    jobs: Annotated[bool, typer.Option("--jobs", help="Work jobs (export, import, reindex) only")] = False,
) -> None:
    """Run the Celery worker with its clock: deliver the outbox, refresh the counts, work jobs.

    As many workers as needed may run; a machine that is to do nothing but jobs runs `hie worker --jobs`.
    """
    from hie.core.settings import Settings
    from hie.worker import work, work_jobs

    if jobs:
        work_jobs(Settings())
    else:
        work(Settings())
