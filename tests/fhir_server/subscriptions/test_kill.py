"""`hie worker` sends notifications; killed again and again it loses none, and none gets another number."""

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hie import app, wiring
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.subscriptions.processes import running
from tests.fhir_server.subscriptions.receiver import Received, Receiver
from tests.fhir_server.subscriptions.server import Subscribed, patient, topic_subscription

EVENTS = 90
KILLS = 2


def _answer_slowly(_received: Received) -> int:
    time.sleep(0.03)
    return 200


def _has_told_of(receiver: Receiver, events: int) -> bool:
    return len({number for each in receiver.requests for number in each.numbers}) >= events


def _until(is_so: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline, (folder / "worker.log").read_text(encoding="utf-8")
        time.sleep(0.01)


def test_killed_worker_loses_no_event_and_keeps_their_order(
    tmp_path: Path, database_url: str, receiver: Receiver
) -> None:
    seen: list[int] = []
    receiver.answer = _answer_slowly
    settings = {
        "HIE_SUBSCRIPTION_ENDPOINTS": f'["http://127.0.0.1:{receiver.port}"]',
        # how long a notification waits whose worker died is this and half a minute
        "HIE_SUBSCRIPTION_TIMEOUT_SECONDS": "1",
    }
    with wiring.build(Settings(var_dir=tmp_path), database_url=database_url) as exchange:
        server = Subscribed(exchange, Client(app.build(exchange)))
        server.put(topic_subscription("s", "patient-change", receiver.url))
        with running("worker", tmp_path, database_url, settings):
            receiver.until(1)
            _until(lambda: bool(server.get("Subscription/s")["status"] == "active"), tmp_path)
        server.put(*(patient(f"p{number}") for number in range(EVENTS)))
        for kill in range(KILLS + 1):
            with exchange.database.transaction() as transaction:
                # as if the leases of the dead worker had run out
                transaction.connection.execute("UPDATE subscription SET leased_until = NULL")
            with running("worker", tmp_path, database_url, settings) as worker:
                wanted = EVENTS if kill == KILLS else EVENTS * (kill + 1) // (KILLS + 2)
                _until(partial(_has_told_of, receiver, wanted), tmp_path)
                worker.send_signal(signal.SIGKILL)
    for each in receiver.requests:
        seen += each.numbers
    firsts = list(dict.fromkeys(seen))
    assert firsts == list(range(1, EVENTS + 1))
    names = {
        (number, each.json["entry"][1]["fullUrl"]) for each in receiver.requests for number in each.numbers
    }
    assert len(names) == EVENTS, "an event that comes again has its number"
    assert len(seen) <= EVENTS + KILLS
