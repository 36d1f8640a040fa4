"""SIGKILL of the database in the middle of an import and of an export: the job goes on when it is back."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.bulk import export, import_
from fhir_server.bulk.kick_off import KickOff
from fhir_server.jobs.job import Job, JobKind, Step, Work
from fhir_server.jobs.service import Jobs
from hie import wiring
from hie.core.errors import UnavailableError
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.settings import Settings
from tests.fhir_server.interactions.test_kill import PostgreSQL

RESOURCES = 400
MOST_SECONDS = 120


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[PostgreSQL]:
    opened = PostgreSQL(tmp_path / "postgres")
    yield opened
    opened.stop()


class Noted:
    """A kind of job that says when it begins its n-th step."""

    def __init__(self, kind: JobKind, step: int) -> None:
        self.kind = kind
        self.left = step
        self.reached = threading.Event()

    def step(self, work: Work) -> Step:
        """Do the step."""
        self.left -= 1
        if self.left == 0:
            self.reached.set()
        return self.kind.step(work)


def run(
    exchange: wiring.Exchange, jobs: Jobs, kind: str, parameters: JsonObject, postgresql: PostgreSQL
) -> Job:
    """Work a job whose database is killed in its third step, and return it when it has ended."""
    with exchange.database.transaction() as transaction:
        accepted = jobs.begin(transaction, kind=kind, request="test", parameters=parameters)
    identity = accepted.headers["Content-Location"].rpartition("/")[2]
    runner = exchange.job_runner()
    noted = Noted(exchange.job_kinds[kind], 3)
    runner._kinds = {kind: noted}
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        assert noted.reached.wait(MOST_SECONDS)
        postgresql.kill()
        time.sleep(1)
        postgresql.start()
        deadline = time.monotonic() + MOST_SECONDS
        while True:
            try:
                with exchange.database.transaction() as transaction:
                    job = jobs.find(transaction, identity)
            except UnavailableError:  # a connection of the pool that the kill has ended
                continue
            if job.is_final:
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
    finally:
        runner.stop()
        thread.join()


def test_import_and_export_survive_the_death_of_the_database(postgresql: PostgreSQL, tmp_path: Path) -> None:
    lines = [dumps({"resourceType": "Patient", "active": True}) for _ in range(RESOURCES)]
    lines += [dumps({"resourceType": "Patient", "id": f"p{number}"}) for number in range(RESOURCES)]
    source = tmp_path / "patients.ndjson"
    source.write_bytes(b"\n".join(lines))
    settings = Settings(job_folder=tmp_path / "jobs", job_lease_seconds=1, import_processes=2)
    with wiring.build(settings, database_url=postgresql.url) as exchange:
        exchange.job_kinds = {
            export.KIND: export.Export(
                exchange.repository,
                exchange.search.indexer,
                exchange.clock,
                base_url=settings.base_url,
                file_resources=50,
            ),
            import_.KIND: import_.Import(
                exchange.imports, limit_bytes=1_000_000, batch_lines=10, step_batches=5, large_bytes=0
            ),
        }
        jobs = Jobs(settings.base_url, settings.jobs, exchange.clock)
        parameters = {"input": [{"url": source.as_uri(), "type": "Patient"}]}
        imported = run(exchange, jobs, import_.KIND, parameters, postgresql)
        assert imported.error is None
        assert imported.output is not None
        assert imported.output["manifest"]["output"][0]["count"] == 2 * RESOURCES
        with exchange.database.transaction() as transaction:
            counts = transaction.connection.execute(
                "SELECT count(*), max(version), count(*) FILTER (WHERE method = 1) FROM resource"
            ).fetchone()
        assert counts == (2 * RESOURCES, 1, RESOURCES)
        exported = run(exchange, jobs, export.KIND, KickOff("system").to_json(), postgresql)
        assert exported.output is not None
        ids = Counter(
            loads(line)["id"]
            for name in exported.output["files"]
            for line in (settings.jobs / str(exported.id) / name).read_bytes().splitlines()
        )
        assert len(ids) == 2 * RESOURCES
        assert set(ids.values()) == {1}
