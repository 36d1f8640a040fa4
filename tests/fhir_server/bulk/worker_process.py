"""A worker of jobs in a process of its own, with steps so small that it can be killed between them.

``python -m tests.fhir_server.bulk.worker_process``, with the settings in the environment.
"""

from datetime import timedelta

from fhir_server.bulk import export, import_
from fhir_server.index.indexer import Indexer
from fhir_server.jobs.job import JobKind
from fhir_server.jobs.runner import Runner
from hie import wiring
from hie.core.settings import Settings


def main() -> None:
    """Work jobs until the process is killed."""
    settings = Settings()
    with wiring.build(settings) as exchange:
        indexer = Indexer(settings.base_url, settings.zone)
        kinds: dict[str, JobKind] = {
            export.KIND: export.Export(
                exchange.repository, indexer, exchange.clock, base_url=settings.base_url, file_resources=20
            ),
            import_.KIND: import_.Import(
                exchange.imports, limit_bytes=1_000_000, batch_lines=20, step_batches=10, large_bytes=0
            ),
        }
        Runner(
            exchange.database,
            kinds,
            folder=settings.jobs,
            clock=exchange.clock,
            lease=timedelta(seconds=1),
            retention=timedelta(hours=1),
        ).run()


if __name__ == "__main__":
    main()
