"""SIGKILL of the worker in the middle of an import and of an export: nothing is lost or doubled."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hie.core.fhir.json import JsonObject, dumps, loads
from tests.conftest import ROOT
from tests.environment import laboratory
from tests.fhir_server.bulk.server import Bulk

RESOURCES = 900
KILLS = 2


@contextmanager
def worker(bulk: Bulk, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = laboratory(
        HIE_DATABASE_URL=database_url,
        HIE_JOB_FOLDER=str(bulk.exchange.settings.jobs),
        HIE_IMPORT_PROCESSES="2",
    )
    with (bulk.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fhir_server.bulk.worker_process"],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def work_under_fire(bulk: Bulk, database_url: str, where: str) -> JsonObject:
    """Kill the worker whenever the job has gone on a little, then let it end; return the manifest."""
    killed = 0
    seen: list[str] = []
    deadline = time.monotonic() + 200
    while True:
        with worker(bulk, database_url) as process:
            while True:
                assert time.monotonic() < deadline, (bulk.folder / "worker.log").read_text(encoding="utf-8")
                status = bulk.client.get(where)
                if status.status_code == 200:
                    assert killed == KILLS, f"the job ended after {killed} kills: make it longer"
                    manifest: JsonObject = loads(status.content)
                    return manifest
                assert status.status_code == 202, status.text
                progress = status.headers["X-Progress"]
                if killed < KILLS and progress[:1].isdigit() and progress not in seen:
                    seen.append(progress)
                    time.sleep(0.12)  # into the next step, some of whose batches are stored
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    killed += 1
                    break
                time.sleep(0.01)


def observation(number: int) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"c{number % 7}"}]},
    }


def test_import_and_export_survive_the_death_of_their_worker(bulk: Bulk, database_url: str) -> None:
    lines = [dumps(observation(number)) for number in range(RESOURCES)]
    lines += [dumps({"resourceType": "Patient", "active": True}) for _ in range(RESOURCES)]
    lines[7] = b'{"resourceType":"Observation","id":"broken"'
    lines[RESOURCES - 1] = dumps({"resourceType": "Observation", "id": "incomplete"})
    kicked_off = bulk.client.post(
        "$import",
        content=b"\n".join(lines),
        headers={"Content-Type": "application/fhir+ndjson", "Prefer": "respond-async"},
    )
    assert kicked_off.status_code == 202, kicked_off.text
    manifest = work_under_fire(bulk, database_url, bulk.path(kicked_off.headers["Content-Location"]))
    (output,) = manifest["output"]
    assert output["count"] == 2 * RESOURCES - 2
    assert output["extension"] == {"created": 2 * RESOURCES - 2, "updated": 0, "unchanged": 0}
    outcomes = bulk.lines(manifest, "error")
    texts = [each["issue"][0]["diagnostics"] for each in outcomes]
    assert [text.partition(":")[0] for text in texts] == ["Line 8", f"Line {RESOURCES}"]
    with bulk.exchange.database.transaction() as transaction:
        counts = transaction.connection.execute(
            "SELECT count(*), count(DISTINCT (type, id)), max(version),"
            " (SELECT count(*) FROM resource r"
            " WHERE NOT EXISTS (SELECT FROM ix_token x WHERE x.rid = r.rid)),"
            " (SELECT sum(jsonb_array_length(payload->'changes')) FROM outbox)"
            " FROM resource"
        ).fetchone()
    assert counts is not None
    assert counts[:3] == (2 * RESOURCES - 2, 2 * RESOURCES - 2, 1)
    assert counts[3:] == (0, 2 * RESOURCES - 2), "every resource is indexed and announced once"
    kicked_off = bulk.kick_off("$export")
    manifest = work_under_fire(bulk, database_url, bulk.path(kicked_off.headers["Content-Location"]))
    names = Counter(bulk.names(manifest))
    assert len(names) == 2 * RESOURCES - 2
    assert set(names.values()) == {1}
