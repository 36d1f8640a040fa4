"""A local log that cannot be written: what reads is refused with 503 and says why, what writes goes on."""

import asyncio
import shutil
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from hie.core.audit.log import LocalLog
from hie.core.clock import SystemClock
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from hie.core.web.auditing import AuditMiddleware
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


def test_health_is_503_while_reads_cannot_be_recorded(stored: Client, settings: Settings) -> None:
    assert stored.get("/health").status_code == 200  # nothing was to be recorded yet
    assert stored.get("/fhir/Patient/p1").status_code == 503
    answer = stored.get("/health")
    assert answer.status_code == 503
    assert "audit log" in answer.text
    settings.audit_logs.unlink()
    assert stored.get("/health").json() == {"status": "ok"}


def test_handshake_that_cannot_be_recorded_is_closed(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("in the way")
    sent: list[Message] = []

    async def accepting(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "Zhao"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    audited = AuditMiddleware(accepting, LocalLog(tmp_path / "audit"), SystemClock(), "site")
    scope = {"type": "websocket", "path": "/fhir/$subscriptions", "query_string": b"", "headers": []}
    asyncio.run(audited(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1013}]
