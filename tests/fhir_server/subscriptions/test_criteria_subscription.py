"""Subscriptions of R4: criteria, activation, rest-hook with and without payload (https://hl7.org/fhir/R4/subscription.html)."""

from hie.core.fhir.json import dumps
from tests.fhir_server.interactions.client import assert_outcome
from tests.fhir_server.subscriptions.receiver import Receiver
from tests.fhir_server.subscriptions.server import Subscribed, observation, patient, subscription

CODE = "Observation?code=http://loinc.org|1975-2"


def test_requested_subscription_becomes_active(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", CODE, receiver.url))
    server.work()
    stored = server.get("Subscription/s")
    assert (stored["status"], stored["meta"]["versionId"]) == ("active", "2")
    assert receiver.requests == []
    assert server.count_outbox() == 0


def test_rest_hook_without_payload_is_a_post_without_body(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", CODE, receiver.url, header=["Authorization: Bearer secret"]))
    server.work()
    server.put(observation("o1"), observation("o2", "other"))
    server.work()
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook", b"")
    assert request.headers["Authorization"] == "Bearer secret"


def test_rest_hook_with_payload_is_an_update_at_the_endpoint(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", CODE, receiver.url, payload="application/fhir+json"))
    server.work()
    server.put(observation("o1"))
    server.put(observation("o1", valueString="changed"))
    server.work()
    first, second = receiver.requests
    assert (first.method, first.path) == ("PUT", "/hook/Observation/o1")
    assert first.headers["Content-Type"] == "application/fhir+json"
    assert first.json == server.get("Observation/o1/_history/1")
    assert second.json == server.get("Observation/o1/_history/2")


def test_payload_in_xml_is_xml(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", CODE, receiver.url, payload="application/fhir+xml"))
    server.work()
    server.put(observation("o1"))
    server.work()
    (request,) = receiver.requests
    assert request.headers["Content-Type"] == "application/fhir+xml"
    assert (
        request.body
        == server.client.get("Observation/o1", headers={"accept": "application/fhir+xml"}).content
    )


def test_version_that_was_superseded_before_the_worker_looked_is_told_of(
    server: Subscribed, receiver: Receiver
) -> None:
    server.put(subscription("s", CODE, receiver.url, payload="application/fhir+json"))
    server.work()
    server.put(observation("o1"))
    server.put(observation("o1", "other"))
    server.work()
    (request,) = receiver.requests
    assert request.json["meta"]["versionId"] == "1"


def test_deletion_is_no_event_of_criteria(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", "Patient?", receiver.url))
    server.work()
    server.put(patient("a"))
    server.client.delete("Patient/a")
    server.work()
    assert len(receiver.requests) == 1


def test_subscription_that_is_off_or_deleted_or_ended_tells_nothing(
    server: Subscribed, receiver: Receiver
) -> None:
    server.put(subscription("off", CODE, receiver.url) | {"status": "off"})
    server.put(subscription("gone", CODE, receiver.url))
    server.put(subscription("over", CODE, receiver.url) | {"end": "2020-01-01T00:00:00Z"})
    server.work()
    assert server.client.delete("Subscription/gone").status_code < 300
    server.put(observation("o1"))
    server.work()
    assert receiver.requests == []
    over = server.get("Subscription/over")
    assert (over["status"], over["error"]) == (
        "error",
        "The subscription ended at 2020-01-01T00:00:00+00:00",
    )


def test_criteria_that_cannot_be_searched_are_refused(server: Subscribed, receiver: Receiver) -> None:
    refused = server.client.post(
        "Subscription", content=dumps(subscription("s", "Patient?colour=red", receiver.url))
    )
    assert_outcome(
        refused,
        422,
        "not-supported",
        "`Patient?colour=red` cannot be searched: Search parameter `colour` is not defined for Patient",
        "Subscription.criteria",
    )


def test_what_is_not_supported_is_refused_in_all_its_parts(server: Subscribed, receiver: Receiver) -> None:
    asked = subscription(
        "s", CODE, receiver.url, payload="text/plain", header=["Host: elsewhere", "no header"]
    )
    asked["channel"]["type"] = "email"
    refused = server.client.post("Subscription", content=dumps(asked))
    assert refused.status_code == 422
    assert [(each["code"], each["expression"]) for each in refused.json()["issue"]] == [
        ("not-supported", ["Subscription.channel.type"]),
        ("not-supported", ["Subscription.channel.payload"]),
        ("value", ["Subscription.channel.header[0]"]),
        ("value", ["Subscription.channel.header[1]"]),
    ]


def test_endpoint_that_the_settings_do_not_permit_is_never_called(
    server: Subscribed, receiver: Receiver
) -> None:
    with Receiver() as other:
        server.put(subscription("s", CODE, other.url))
        server.work()
        server.put(observation("o1"))
        server.work()
        assert other.requests == []
    stored = server.get("Subscription/s")
    assert stored["status"] == "error"
    assert stored["error"] == (
        f"The endpoint is not below one that this server may call: http://127.0.0.1:{other.port}"
    )
    assert receiver.requests == []


def test_status_that_only_the_server_sets_is_kept_when_there_is_nothing_to_do(server: Subscribed) -> None:
    server.put(subscription("s", CODE, "https://biliwatch.example/on-result") | {"status": "error"})
    server.work()
    assert server.get("Subscription/s")["meta"]["versionId"] == "1"


def test_criteria_are_read_as_urls_are(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", "Patient?name=Li%20Wei&&gender=male&", receiver.url))
    server.work()
    server.put(patient("a", gender="male", name=[{"text": "Li Wei"}]), patient("b", gender="male"))
    server.work()
    assert len(receiver.requests) == 1
    refused = server.client.post(
        "Subscription", content=dumps(subscription("s", "Patient?gender", receiver.url))
    )
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["diagnostics"] == (
        "`Patient?gender` cannot be searched: `gender` is not name=value&name=value"
    )


def test_expunged_subscription_is_forgotten(server: Subscribed, receiver: Receiver) -> None:
    server.put(subscription("s", CODE, receiver.url), subscription("t", CODE, receiver.url))
    server.work()
    assert server.client.post("Subscription/s/$expunge?expungeEverything=true").status_code == 200
    server.put(observation("o1"))
    server.work()
    assert len(receiver.requests) == 1
    with server.exchange.database.transaction() as transaction:
        assert transaction.connection.execute("SELECT id FROM subscription").fetchall() == [("t",)]
