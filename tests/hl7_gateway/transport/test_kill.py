"""SIGKILL at any moment loses no acknowledged message and duplicates none when the sender resends."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import pytest

from hie.core.db.database import Database
from hie.core.errors import UnavailableError
from hl7_gateway.client import MLLPConnection
from hl7_gateway.conveyor import Received
from hl7_gateway.pipeline import Pipeline
from tests.hl7_gateway.transport.admissions import admission, outcome, rows
from tests.hl7_gateway.transport.conftest import CLOCK

ROOT = Path(__file__).resolve().parents[3]
LANES = 6
WINDOW = 10


class Gateways:
    """Gateway processes on one port, killed and started again."""

    def __init__(self, database_url: str, count: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._environment = {**os.environ, "HIE_DATABASE_URL": database_url, "HIE_MLLP_PORT": str(self.port)}
        self._processes = [self._start() for _ in range(count)]

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.hl7_gateway.transport.gateway_process"]
        return subprocess.Popen(command, cwd=ROOT, env=self._environment)

    def kill(self, number: int) -> None:
        """End one without a chance to finish anything, and start another in its place."""
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait()
        self._processes[number] = self._start()

    def stop(self) -> list[int]:
        """Ask all to end; return their exit statuses."""
        for process in self._processes:
            process.terminate()
        return [process.wait(60) for process in self._processes]


class Sender(threading.Thread):
    """Sends its messages in order, and again what was not acknowledged when the connection broke."""

    def __init__(self, port: int, messages: list[bytes]) -> None:
        super().__init__()
        self.port = port
        self.waiting = deque(messages)
        self.acknowledged: list[tuple[str, str, str]] = []
        self.reconnections = -1

    def run(self) -> None:
        """Send until everything is acknowledged."""
        deadline = time.monotonic() + 200
        while self.waiting and time.monotonic() < deadline:
            try:
                with MLLPConnection("127.0.0.1", self.port, timeout=60) as connection:
                    self.reconnections += 1
                    self._send(connection)
            except UnavailableError:
                time.sleep(0.05)

    def _send(self, connection: MLLPConnection) -> None:
        rest = iter(list(self.waiting))
        sent = 0
        for message in rest:
            connection.put(message)
            sent += 1
            if sent == WINDOW:
                self._take(connection)
                sent -= 1
        for _ in range(sent):
            self._take(connection)

    def _take(self, connection: MLLPConnection) -> None:
        self.acknowledged.append(outcome(connection.take()))
        self.waiting.popleft()


def lane(number: int, count: int) -> list[bytes]:
    # Every message changes a patient of this lane, so that one applied twice or out of order leaves a
    # version more.
    return [
        admission(f"{number}-{n}", patient=f"P{number}-{n % 5}", family=f"Name{n}", facility=f"H{number}")
        for n in range(count)
    ]


def versions(database: Database) -> list[tuple[object, ...]]:
    return rows(
        database,
        "SELECT convert_from(body, 'UTF8')::json ->> 'resourceType', count(*), sum(version)"
        " FROM resource GROUP BY 1 ORDER BY 1",
    )


def clear(database: Database) -> None:
    with database.transaction() as transaction:
        # those of the audit trail and of the workflows of rights are append-only
        found = transaction.connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT LIKE 'audit%%' AND tablename NOT LIKE 'rights%%'"
        )
        names = ", ".join(str(name) for (name,) in found)
        transaction.connection.execute(f"TRUNCATE {names}".encode())


@pytest.mark.parametrize(
    ("messages", "kills"),
    [(600, 2), pytest.param(5_000, 10, marks=[pytest.mark.full, pytest.mark.timeout(600)])],
)
def test_sigkill_loses_no_acknowledged_message_and_duplicates_none(
    database: Database, database_url: str, pipeline: Pipeline, messages: int, kills: int
) -> None:
    lanes = [lane(number, messages // LANES) for number in range(LANES)]
    count = sum(map(len, lanes))
    chance = random.Random(2575)  # noqa: S311 - which process, and when
    gateways = Gateways(database_url, 2)
    senders = [Sender(gateways.port, each) for each in lanes]
    for sender in senders:
        sender.start()

    def stored() -> int:
        return int(rows(database, "SELECT count(*) FROM journal")[0][0])

    for kill in range(kills):
        reached = count * (kill + 1) // (kills + 1)
        while stored() < reached and any(sender.is_alive() for sender in senders):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.05))
        gateways.kill(chance.randrange(2))
    for sender in senders:
        sender.join()
    # one that was started again a moment ago may not listen yet: the signal itself ends it, nothing was taken
    assert set(gateways.stop()) <= {0, -signal.SIGTERM}
    assert sum(sender.reconnections for sender in senders) > 0
    assert [sender.acknowledged for sender in senders] == [
        [("AA", f"{number}-{n}", "") for n in range(len(each))] for number, each in enumerate(lanes)
    ]
    assert rows(
        database, "SELECT count(*), count(DISTINCT (sender, control_id)), min(state) FROM journal"
    ) == [(count, count, "stored")]
    with_kills = versions(database)
    clear(database)
    for each in lanes:
        for first in range(0, len(each), 20):
            pipeline.process([Received(message, CLOCK.now()) for message in each[first : first + 20]])
    assert with_kills == versions(database)


def test_sigterm_ends_the_process_after_its_work_is_acknowledged(
    database: Database, database_url: str
) -> None:
    gateways = Gateways(database_url, 1)
    while True:
        try:
            connection = MLLPConnection("127.0.0.1", gateways.port, timeout=60)
            break
        except UnavailableError:
            time.sleep(0.05)
    for message in lane(0, 50):
        connection.put(message)
    assert outcome(connection.take())[:2] == ("AA", "0-0")
    status: list[int] = []
    stopping = threading.Thread(target=lambda: status.extend(gateways.stop()))
    stopping.start()
    acknowledged = 1
    with pytest.raises(UnavailableError):
        while True:
            connection.take()
            acknowledged += 1
    connection.close()
    stopping.join()
    assert status == [0]
    assert rows(database, "SELECT count(*) FROM journal WHERE state = 'stored'") == [(acknowledged,)]
