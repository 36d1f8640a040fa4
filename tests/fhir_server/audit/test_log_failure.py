"""A local log that cannot be written: what reads is refused with 503 and says why, what writes goes on."""

import shutil

import pytest

from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.audit.client import Client

PATIENT: JsonObject = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Zhao"}]}


@pytest.fixture
def stored(client: Client, settings: Settings) -> Client:
    """A client of a server that holds a Patient, and whose log cannot be begun: a file is in the way."""
    assert client.put("/fhir/Patient/p1", json=PATIENT).status_code == 201
    shutil.rmtree(settings.audit_logs, ignore_errors=True)
    settings.audit_logs.parent.mkdir(parents=True, exist_ok=True)
    settings.audit_logs.write_text("in the way")
    return client


@pytest.mark.parametrize("path", ["/fhir/Patient/p1", "/fhir/Patient?_count=1", "/fhir/Patient/p1/_history"])
def test_read_that_cannot_be_recorded_is_503_and_shows_nothing(stored: Client, path: str) -> None:
    answer = stored.get(path)
    assert answer.status_code == 503
    assert answer.json()["resourceType"] == "OperationOutcome"
    (issue,) = answer.json()["issue"]
    assert (issue["severity"], issue["code"]) == ("error", "transient")
    assert "audit log" in issue["diagnostics"]
    assert "Zhao" not in answer.text


def test_head_has_the_status_and_no_body(stored: Client) -> None:
    answer = stored.request("HEAD", "/fhir/Patient/p1")
    assert (answer.status_code, answer.content) == (503, b"")


def test_writes_are_recorded_in_the_database_and_go_on(stored: Client) -> None:
    assert stored.put("/fhir/Patient/p1", json={**PATIENT, "active": True}).status_code == 200
    assert stored.get("/fhir/metadata").status_code == 200


def test_reads_go_on_as_soon_as_the_log_can_be_written(stored: Client, settings: Settings) -> None:
    assert stored.get("/fhir/Patient/p1").status_code == 503
    settings.audit_logs.unlink()
    assert stored.get("/fhir/Patient/p1").json()["name"] == PATIENT["name"]
