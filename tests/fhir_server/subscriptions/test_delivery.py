"""Delivery: in order, at least once, again with growing waits; dead letters, and what an owner may read."""

import threading

import pytest

from fhir_server.subscriptions.notifier import Patience
from hie import app, wiring
from hie.core.access import Requester
from hie.core.settings import Settings
from tests.fhir_server.access.policies import WriteAnything
from tests.fhir_server.interactions.client import Client, assert_outcome
from tests.fhir_server.subscriptions.receiver import Received, Receiver
from tests.fhir_server.subscriptions.server import (
    Subscribed,
    observation,
    patient,
    subscription,
    topic_subscription,
)


def _retry(server: Subscribed) -> None:
    """Send what is due, as if all waits were over."""
    with server.exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE subscription SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()"
        )
    server.work()


def test_receiver_that_was_away_gets_all_events_in_order(server: Subscribed, receiver: Receiver) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url))
    server.work()
    del receiver.requests[:]
    receiver.stop()
    server.put(*(patient(f"p{number}") for number in range(20)))
    server.work()
    _retry(server)
    assert receiver.requests == []
    receiver.start()
    _retry(server)
    assert [each.numbers for each in receiver.requests] == [[number] for number in range(1, 21)]
    assert [each.json["entry"][1]["fullUrl"].rpartition("/")[2] for each in receiver.requests] == [
        f"p{number}" for number in range(20)
    ]
    assert server.get("Subscription/s")["status"] == "active"


def test_event_whose_answer_was_lost_comes_again_with_its_number(
    server: Subscribed, receiver: Receiver
) -> None:
    answers = iter([200, 200, 503, 200, 200])
    receiver.answer = lambda _received: next(answers)
    server.put(topic_subscription("s", "patient-change", receiver.url))
    server.work()
    server.put(patient("a"), patient("b"), patient("c"))
    server.work()
    _retry(server)
    assert [each.numbers for each in receiver.requests[1:]] == [[1], [2], [2], [3]]


def test_waits_double_up_to_the_longest() -> None:
    patience = Patience(20, 1.0, 60.0, 30.0, 30.0)
    waits = [patience.wait(attempts).total_seconds() for attempts in (1, 2, 3, 6, 7, 8, 1000)]
    assert waits == [1, 2, 4, 32, 60, 60, 60]


def test_subscription_in_error_goes_on_counting_and_can_be_redriven(
    server: Subscribed, receiver: Receiver
) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url))
    server.work()
    receiver.answer = lambda _received: 500
    server.put(patient("a"))
    server.work()
    for _ in range(3):
        _retry(server)
    reason = f"http://127.0.0.1:{receiver.port} answers 500"
    stored = server.get("Subscription/s")
    assert (stored["status"], stored["error"]) == ("error", reason)
    assert [each.numbers for each in receiver.requests[1:]] == [[1], [1], [1]]
    server.put(patient("b"), patient("c"))
    server.work()
    assert len(receiver.requests) == 4
    (letter,) = server.get("Subscription/$dead-letters")["parameter"]
    parts = {each.pop("name"): each.popitem()[1] for each in letter["part"]}
    assert parts.pop("since")
    assert parts == {
        "subscription": {"reference": "Subscription/s"},
        "error": reason,
        "pending": "3",
        "first-event-number": "1",
    }
    receiver.answer = lambda _received: 200
    done = server.client.post("Subscription/s/$redrive?skip=1")
    assert done.json()["issue"][0]["diagnostics"] == "`Subscription/s` is active; 2 events are sent now"
    server.work()
    assert [each.numbers for each in receiver.requests[4:]] == [[2], [3]]
    assert server.get("Subscription/$dead-letters") == {"resourceType": "Parameters"}
    assert "error" not in server.get("Subscription/s")
    assert_outcome(
        server.client.post("Subscription/s/$redrive"), 409, "conflict", "`Subscription/s` is not in error"
    )


def test_client_that_asks_again_gets_a_handshake_and_what_waited(
    server: Subscribed, receiver: Receiver
) -> None:
    asked = topic_subscription("s", "patient-change", receiver.url)
    server.put(asked)
    server.work()
    receiver.answer = lambda _received: 500
    server.put(patient("a"))
    server.work()
    for _ in range(3):
        _retry(server)
    receiver.answer = lambda _received: 200
    del receiver.requests[:]
    server.put(asked)
    server.put(patient("b"))
    server.work()
    assert [each.status["type"] for each in receiver.requests] == [
        "handshake",
        "event-notification",
        "event-notification",
    ]
    assert [each.numbers for each in receiver.requests] == [[], [1], [2]]


def test_redirection_is_not_followed(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", "Patient?", receiver.url))
    server.work()
    receiver.answer = lambda _received: 302
    server.put(patient("a"))
    server.work()
    assert len(receiver.requests) == 1


def test_owner_is_told_only_of_what_the_policy_lets_it_read(database_url: str, receiver: Receiver) -> None:
    settings = Settings(subscription_endpoints=(f"http://127.0.0.1:{receiver.port}",))
    owner = Requester("person", "a")
    with wiring.build(settings, database_url=database_url, access=WriteAnything("a")) as exchange:
        server = Subscribed(exchange, Client(app.build(exchange)))
        system = Requester("system", "hie")
        every = subscription("mine", "Observation?", receiver.url, payload="application/fhir+json")
        server.put_as(owner, every)
        server.put_as(system, {**every, "id": "all"})
        server.work()
        for of in ("a", "b"):
            server.put_as(system, patient(of))
            server.put_as(system, observation(f"of-{of}", subject={"reference": f"Patient/{of}"}))
        server.work()
        with server.exchange.database.transaction() as transaction:
            counted = transaction.connection.execute("SELECT id, event_count FROM subscription ORDER BY id")
            assert counted.fetchall() == [("all", 2), ("mine", 1)]
    told = [each.path for each in receiver.requests]
    assert sorted(told) == ["/hook/Observation/of-a", "/hook/Observation/of-a", "/hook/Observation/of-b"]


def test_resource_that_may_no_longer_be_read_is_not_shown(database_url: str, receiver: Receiver) -> None:
    settings = Settings(subscription_endpoints=(f"http://127.0.0.1:{receiver.port}",))
    owner, system = Requester("person", "a"), Requester("system", "hie")
    with wiring.build(settings, database_url=database_url, access=WriteAnything("a")) as exchange:
        server = Subscribed(exchange, Client(app.build(exchange)))
        server.put_as(owner, topic_subscription("s", "laboratory-result", receiver.url))
        server.work()
        code = {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "laboratory",
        }
        result = observation("o", category=[{"coding": [code]}])
        server.put_as(system, result | {"subject": {"reference": "Patient/a"}})
        server.match()
        server.put_as(system, result | {"subject": {"reference": "Patient/b"}})
        server.work()
    (event,) = receiver.requests[1:]
    assert event.numbers == [1]
    assert len(event.json["entry"]) == 1
    assert "Observation" not in event.body.decode()


@pytest.mark.parametrize("criteria", ["Observation?", "Observation?code=http://loinc.org|1975-2"])
def test_each_event_is_counted_once_whoever_else_works(
    server: Subscribed, receiver: Receiver, criteria: str
) -> None:
    server.put(subscription("s", criteria, receiver.url))
    server.work()
    server.put(*(observation(f"o{number}") for number in range(30)))
    workers = [threading.Thread(target=server.work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    server.work()
    with server.exchange.database.transaction() as transaction:
        numbers = transaction.connection.execute(
            "SELECT number FROM subscription_event ORDER BY number"
        ).fetchall()
        standing = transaction.connection.execute(
            "SELECT event_count, delivered FROM subscription"
        ).fetchone()
    assert [row[0] for row in numbers] == list(range(1, 31))
    assert standing == (30, 30)
    assert len(receiver.requests) == 30


def test_events_that_are_too_old_are_forgotten(server: Subscribed, receiver: Receiver) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url))
    server.work()
    receiver.stop()
    server.put(patient("a"))
    server.work()
    with server.exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE subscription_event SET occurred_at = occurred_at - interval '31 days'"
        )
    server.notifier.remove_old()
    receiver.start()
    server.put(patient("b"))
    server.match()
    _retry(server)
    assert receiver.requests[-1].numbers == [2]


def test_subscription_is_off_when_its_time_is_over(server: Subscribed, receiver: Receiver) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url) | {"end": "2999-01-01T00:00:00Z"})
    server.work()
    with server.exchange.database.transaction() as transaction:
        transaction.connection.execute("UPDATE subscription SET ends_at = clock_timestamp()")
    server.notifier.remove_old()
    server.put(patient("a"))
    server.work()
    assert server.get("Subscription/s")["status"] == "off"
    assert [each.status["type"] for each in receiver.requests] == ["handshake"]


def test_header_with_a_secret_stands_in_no_answer_of_the_operations(
    server: Subscribed, receiver: Receiver
) -> None:
    def answer(received: Received) -> int:
        return 200 if received.headers.get("X-Key") == "s3cret" else 401

    receiver.answer = answer
    asked = topic_subscription("s", "patient-change", receiver.url)
    asked["channel"]["header"] = ["X-Key: s3cret"]
    server.put(asked)
    server.work()
    receiver.answer = lambda _received: 500
    server.put(patient("a"))
    server.work()
    for _ in range(3):
        _retry(server)
    for path in ("Subscription/$dead-letters", "Subscription/s/$status", "Subscription/s/$events"):
        assert "s3cret" not in server.client.get(path).text
