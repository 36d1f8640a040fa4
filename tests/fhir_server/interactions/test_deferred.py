"""``Prefer: respond-async``: https://hl7.org/fhir/R4/async.html."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from fhir_server.interactions.deferred import KIND
from fhir_server.jobs import queue
from fhir_server.jobs.job import JobStoppedError, Work
from hie import app, wiring
from hie.core.fhir.json import JsonObject, loads
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client

BASE = "http://127.0.0.1:8000/fhir"
ASYNC = {"prefer": "respond-async"}
NAME = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
TRANSACTION: JsonObject = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": NAME,
            "resource": {"resourceType": "Patient", "gender": "male"},
            "request": {"method": "POST", "url": "Patient"},
        },
        {
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": NAME},
            },
            "request": {"method": "POST", "url": "Observation"},
        },
    ],
}


class Deferring:
    """A server, a client of it, and a worker that works when it is told to."""

    def __init__(self, exchange: wiring.Exchange) -> None:
        """Take the exchange of both."""
        self.exchange = exchange
        self.client = Client(app.build(exchange))

    def work(self) -> None:
        """Work all jobs that wait."""
        runner = self.exchange.job_runner()
        while runner.work_one():
            pass

    def status(self, accepted: httpx.Response) -> httpx.Response:
        """Return the status of the job that `accepted` began."""
        assert accepted.status_code == 202, accepted.text
        return self.client.get(accepted.headers["content-location"])

    def result(self, accepted: httpx.Response) -> JsonObject:
        """Work, and return the Bundle that the job's only file holds."""
        self.work()
        status = self.status(accepted)
        assert status.status_code == 200, status.text
        manifest = status.json()
        (output,) = manifest["output"]
        assert (output["type"], output["count"], manifest["error"]) == ("Bundle", 1, [])
        (line,) = self.client.get(output["url"]).content.splitlines()
        found: JsonObject = loads(line)
        return found


@pytest.fixture
def deferring(database_url: str, tmp_path: Path) -> Iterator[Deferring]:
    with wiring.build(Settings(var_dir=tmp_path), database_url=database_url) as exchange:
        yield Deferring(exchange)


def count(deferring: Deferring, kind: str) -> int:
    total: int = deferring.client.get(f"{kind}?_summary=count").json()["total"]
    return total


def test_a_transaction_is_accepted_and_done_by_a_worker(deferring: Deferring) -> None:
    accepted = deferring.client.post("", json=TRANSACTION, headers=ASYNC)
    waiting = deferring.status(accepted)
    assert (waiting.status_code, waiting.content) == (202, b"")
    assert "x-progress" in waiting.headers
    assert count(deferring, "Patient") == 0
    answer = deferring.result(accepted)
    assert (answer["resourceType"], answer["type"]) == ("Bundle", "transaction-response")
    assert [entry["response"]["status"] for entry in answer["entry"]] == ["201 Created", "201 Created"]
    assert (count(deferring, "Patient"), count(deferring, "Observation")) == (1, 1)


def test_a_transaction_whose_worker_dies_after_its_commit_is_not_done_again(
    deferring: Deferring, tmp_path: Path
) -> None:
    accepted = deferring.client.post("", json=TRANSACTION, headers=ASYNC)
    database, kind = deferring.exchange.database, deferring.exchange.job_kinds[KIND]
    with database.transaction() as transaction:
        job = queue.claim(transaction, [KIND], timedelta(seconds=60))
    assert job is not None
    folder = queue.folder_of(deferring.exchange.settings.jobs, job.id)
    folder.mkdir(parents=True)
    kind.step(Work(job, database, folder, lambda: False))
    assert count(deferring, "Patient") == 1
    # The worker is gone before its runner saves anything; the lease runs out.
    with database.transaction() as transaction:
        queue.release(transaction, job, timedelta(), "")
    answer = deferring.result(accepted)
    assert len(answer["entry"]) == 2
    assert (count(deferring, "Patient"), count(deferring, "Observation")) == (1, 1)
    assert tmp_path in folder.parents


def test_a_worker_that_lost_its_lease_undoes_what_it_wrote(deferring: Deferring) -> None:
    accepted = deferring.client.post("", json=TRANSACTION, headers=ASYNC)
    database, kind = deferring.exchange.database, deferring.exchange.job_kinds[KIND]
    with database.transaction() as transaction:
        job = queue.claim(transaction, [KIND], timedelta(seconds=60))
    assert job is not None
    folder = queue.folder_of(deferring.exchange.settings.jobs, job.id)
    folder.mkdir(parents=True)
    assert deferring.client.delete(accepted.headers["content-location"]).status_code == 202
    with database.transaction() as transaction:
        transaction.connection.execute("UPDATE job SET claim = claim + 1 WHERE id = %s", (job.id,))
    with pytest.raises(JobStoppedError):
        kind.step(Work(job, database, folder, lambda: False))
    assert count(deferring, "Patient") == 0


@pytest.mark.parametrize(
    "path", ["Patient?gender=male", "Patient/_history", "_history", "?_type=Patient", "Patient/{id}/_history"]
)
def test_searches_and_histories_are_answered_as_they_would_have_been(deferring: Deferring, path: str) -> None:
    answer = deferring.client.post("", json=TRANSACTION).json()
    url = path.format(id=answer["entry"][0]["response"]["location"].split("/")[1])
    accepted = deferring.client.get(url, headers=ASYNC)
    assert deferring.result(accepted) == deferring.client.get(url).json()


def test_a_search_by_post_is_answered_as_it_would_have_been(deferring: Deferring) -> None:
    deferring.client.post("", json=TRANSACTION)
    form = {"content-type": "application/x-www-form-urlencoded"}
    accepted = deferring.client.post("Patient/_search", content="gender=male", headers={**form, **ASYNC})
    found = deferring.result(accepted)
    assert [entry["resource"]["gender"] for entry in found["entry"]] == ["male"]


def test_what_fails_is_told_by_the_status_of_the_job(deferring: Deferring) -> None:
    accepted = deferring.client.get(
        "Patient?colour=red", headers={"prefer": "respond-async, handling=strict"}
    )
    deferring.work()
    status = deferring.status(accepted)
    assert (status.status_code, status.json()["issue"][0]["code"]) == (400, "not-supported")
    lenient = deferring.client.get("Patient?colour=red", headers=ASYNC)
    assert deferring.result(lenient)["type"] == "searchset"


@pytest.mark.parametrize(
    ("path", "status"),
    [("Nobody?_id=1", 404), ("%00", 404), ("Patient/%00/_history", 400), ("Patient/a_b/_history", 400)],
)
def test_a_path_that_is_none_is_refused_at_once(deferring: Deferring, path: str, status: int) -> None:
    refused = deferring.client.get(path, headers=ASYNC)
    assert refused.status_code == status
    assert refused.json()["resourceType"] == "OperationOutcome"


def test_a_bundle_that_is_none_is_refused_at_once(deferring: Deferring) -> None:
    refused = deferring.client.post("", json={"resourceType": "Bundle", "type": "history"}, headers=ASYNC)
    assert refused.status_code == 400
