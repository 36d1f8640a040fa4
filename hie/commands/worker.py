"""`hie worker`: delivers what transactions promised, and works jobs."""

from typing import Annotated, Final

import typer

EXAMPLES: Final = "Example: HIE_BROKER_URL=redis://127.0.0.1:6379/0 hie worker"


def run(
    jobs: Annotated[bool, typer.Option("--jobs", help="Work jobs (export, import, reindex) only")] = False,
    words: Annotated[bool, typer.Option("--words", help="Index words for full text only")] = False,
) -> None:
    """Run the Celery worker with its clock: deliver the outbox, refresh the counts, work jobs, index words.

    As many workers as needed may run; a machine that is to do nothing but jobs runs `hie worker --jobs`, and
    one that is to do nothing but index words `hie worker --words`.
    """
    from hie.core import garbage

    garbage.spare()

    from hie.core.settings import Settings
    from hie.worker import work, work_jobs, work_words

    if jobs:
        work_jobs(Settings())
    elif words:
        work_words(Settings())
    else:
        work(Settings())
