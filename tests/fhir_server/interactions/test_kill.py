"""SIGKILL of server and database at any moment: what was acknowledged stays, nothing is half done."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from hie.core.db import embedded
from hie.core.fhir.json import JsonObject
from hie.migrations import upgrade
from tests.fhir_server.interactions.serving import Server

SYSTEM = "http://hospital.example/mrn"
CLIENTS = 6
OBSERVATIONS = 3
PARTS = 2 + OBSERVATIONS


def transaction(mark: str) -> JsonObject:
    """Return a Bundle of PARTS resources that all carry `mark`."""
    names = [f"urn:uuid:00000000-0000-4000-8000-{number:012d}" for number in range(2)]
    identifier = [{"system": SYSTEM, "value": mark}]
    resources: list[JsonObject] = [
        {"resourceType": "Patient", "identifier": identifier},
        {
            "resourceType": "Encounter",
            "identifier": identifier,
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": names[0]},
        },
    ]
    resources += [
        {
            "resourceType": "Observation",
            "identifier": [
                {"system": SYSTEM, "value": mark},
                {"system": SYSTEM, "value": f"{mark}-{number}"},
            ],
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": names[0]},
            "encounter": {"reference": names[1]},
        }
        for number in range(OBSERVATIONS)
    ]
    entries = []
    for number, resource in enumerate(resources):
        own = resource["identifier"][-1]["value"]
        entry: JsonObject = {
            "resource": resource,
            "request": {
                "method": "POST",
                "url": resource["resourceType"],
                "ifNoneExist": f"identifier={SYSTEM}|{own}",
            },
        }
        if number < len(names):
            entry["fullUrl"] = names[number]
        entries.append(entry)
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


class Client(threading.Thread):
    """Sends transactions one after the other, each again until it is acknowledged."""

    def __init__(self, port: int, marks: list[str]) -> None:
        super().__init__()
        self._url = f"http://127.0.0.1:{port}/fhir"
        self.marks = marks
        self.acknowledged: list[str] = []
        self.attempts = 0
        self.refusals: set[int] = set()

    def run(self) -> None:
        """Send until everything is acknowledged."""
        deadline = time.monotonic() + 200
        with httpx.Client(timeout=20) as client:
            for mark in self.marks:
                while time.monotonic() < deadline:
                    self.attempts += 1
                    try:
                        answer = client.post(self._url, json=transaction(mark))
                    except httpx.TransportError:
                        time.sleep(0.05)
                        continue
                    if answer.status_code == 200:
                        self.acknowledged.append(mark)
                        break
                    self.refusals.add(answer.status_code)
                    time.sleep(0.05)


def parts(connection: "psycopg.Connection[tuple[object, ...]]") -> dict[str, int]:
    """Return how many resources carry each mark."""
    rows = connection.execute(
        "SELECT convert_from(body, 'UTF8')::json -> 'identifier' -> 0 ->> 'value', count(*)"
        " FROM resource GROUP BY 1"
    )
    return {str(mark): int(str(count)) for mark, count in rows}


def check(database_url: str, clients: list[Client]) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        stored = parts(connection)
        # A transaction is there whole, and once, however often it was sent.
        assert set(stored.values()) == {PARTS}
        for client in clients:
            assert client.acknowledged == client.marks
        assert set(stored) == {mark for client in clients for mark in client.acknowledged}
        # One token row for each identifier, one event for each transaction: never one without the other.
        rows = connection.execute(
            "SELECT (SELECT count(*) FROM resource),"
            " (SELECT count(*) FROM ix_token t JOIN resource r USING (rid, seq)"
            "  WHERE t.system_hash = (SELECT system_hash FROM ix_token WHERE system_hash <> 0 GROUP BY 1"
            "   ORDER BY count(*) DESC LIMIT 1)),"
            " (SELECT sum(json_array_length(payload::json -> 'changes')) FROM outbox"
            "  WHERE topic = 'fhir.changed')"
        ).fetchone()
        assert rows is not None
        count, tokens, told = (int(str(each)) for each in rows)
        assert count == told == PARTS * len(stored)
        assert tokens == (PARTS + OBSERVATIONS) * len(stored)


def started(server: Server, per_client: int) -> list[Client]:
    clients = [Client(server.port, [f"{number}-{n}" for n in range(per_client)]) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    return clients


def wait_for(clients: list[Client], count: int) -> None:
    """Wait until `count` transactions are acknowledged, and a moment that no test chooses."""
    while sum(len(client.acknowledged) for client in clients) < count:
        assert any(client.is_alive() for client in clients)
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.05))  # noqa: S311 - a moment, not a secret


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.full)])
@pytest.mark.usefixtures("plain_bodies")
def test_a_killed_server_leaves_no_half_transaction_and_loses_none_that_it_acknowledged(
    database_url: str, tmp_path: Path, kills: int
) -> None:
    server = Server(database_url, tmp_path)
    clients = started(server, per_client=20 * kills)
    try:
        for kill in range(kills):
            wait_for(clients, CLIENTS * 20 * kills * (kill + 1) // (kills + 1))
            server.kill()
        for client in clients:
            client.join()
    finally:
        server.stop()
    assert sum(client.attempts for client in clients) > CLIENTS * 20 * kills
    assert {status for client in clients for status in client.refusals} <= {503}
    check(database_url, clients)


class PostgreSQL:
    """A database server of the test's own, killed with all its processes and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = embedded.url(embedded.start(directory))
        upgrade(self.url)

    def kill(self) -> None:
        """End it without a chance to finish anything."""
        pid = int((self._directory / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in processes:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=10)

    def start(self) -> None:
        """Start it again; it recovers from its log."""
        embedded.start(self._directory)

    def stop(self) -> None:
        """End it for good."""
        embedded.stop(self._directory)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[PostgreSQL]:
    opened = PostgreSQL(tmp_path / "postgres")
    yield opened
    opened.stop()


@pytest.mark.parametrize("kills", [2, pytest.param(6, marks=pytest.mark.full)])
@pytest.mark.usefixtures("plain_bodies")
def test_a_killed_database_loses_no_acknowledged_transaction(
    postgresql: PostgreSQL, tmp_path: Path, kills: int
) -> None:
    server = Server(postgresql.url, tmp_path)
    clients = started(server, per_client=20 * kills)
    try:
        for kill in range(kills):
            wait_for(clients, CLIENTS * 20 * kills * (kill + 1) // (kills + 1))
            postgresql.kill()
            postgresql.start()
        for client in clients:
            client.join()
    finally:
        server.stop()
    assert sum(client.attempts for client in clients) > CLIENTS * 20 * kills
    assert {status for client in clients for status in client.refusals} <= {503}
    check(postgresql.url, clients)
