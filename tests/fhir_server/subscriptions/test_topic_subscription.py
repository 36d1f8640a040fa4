"""Topic subscriptions of the Backport guide by rest-hook, and the operations on them."""

from hie.core.fhir.json import JsonObject, dumps
from tests.fhir_server.interactions.client import assert_outcome
from tests.fhir_server.subscriptions.receiver import Receiver
from tests.fhir_server.subscriptions.server import (
    Subscribed,
    encounter,
    observation,
    patient,
    topic_subscription,
)

PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"


def test_handshake_comes_first_and_makes_the_subscription_active(
    server: Subscribed, receiver: Receiver
) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url))
    server.work()
    (handshake,) = receiver.requests
    assert handshake.method == "POST"
    assert handshake.headers["Content-Type"] == "application/fhir+json"
    bundle = handshake.json
    assert (bundle["resourceType"], bundle["type"], len(bundle["entry"])) == ("Bundle", "history", 1)
    entry = bundle["entry"][0]
    assert entry["resource"]["meta"] == {"profile": [PROFILE]}
    base = server.exchange.settings.base_url
    assert entry["request"] == {"method": "GET", "url": f"{base}/Subscription/s/$status"}
    assert handshake.status == {
        "subscription": str({"reference": f"{base}/Subscription/s"}),
        "topic": "http://hie.example/fhir/SubscriptionTopic/patient-change",
        "status": "requested",
        "type": "handshake",
        "events-since-subscription-start": "0",
    }
    assert server.get("Subscription/s")["status"] == "active"


def test_failed_handshake_is_an_error(server: Subscribed, receiver: Receiver) -> None:
    receiver.answer = lambda _received: 404
    server.put(topic_subscription("s", "patient-change", receiver.url))
    server.work()
    stored = server.get("Subscription/s")
    assert (stored["status"], stored["error"]) == ("error", f"http://127.0.0.1:{receiver.port} answers 404")
    assert len(receiver.requests) == 1


def test_event_notification_names_its_focus(server: Subscribed, receiver: Receiver) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url))
    server.work()
    server.put(patient("a"))
    server.put(patient("a", gender="female"))
    server.client.delete("Patient/a")
    server.work()
    base = server.exchange.settings.base_url
    events = receiver.requests[1:]
    assert [each.numbers for each in events] == [[1], [2], [3]]
    assert [each.status["events-since-subscription-start"] for each in events] == ["1", "2", "3"]
    assert [each.json["entry"][1]["request"] for each in events] == [
        {"method": "PUT", "url": "Patient/a"},
        {"method": "PUT", "url": "Patient/a"},
        {"method": "DELETE", "url": "Patient/a"},
    ]
    assert [each.json["entry"][1]["response"]["status"] for each in events] == ["201", "200", "204"]
    parts = events[0].json["entry"][0]["resource"]["parameter"][-1]["part"]
    assert [each["name"] for each in parts] == ["event-number", "timestamp", "focus"]
    assert parts[2]["valueReference"] == {"reference": f"{base}/Patient/a"}
    assert "resource" not in events[0].json["entry"][1]


def test_empty_content_names_nothing(server: Subscribed, receiver: Receiver) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url, content="empty"))
    server.work()
    server.put(patient("a"))
    server.work()
    event = receiver.requests[1].json
    assert len(event["entry"]) == 1
    assert "Patient" not in dumps(event).decode()
    assert "topic" not in receiver.requests[1].status


def test_full_resource_in_xml_with_what_the_topic_includes(server: Subscribed, receiver: Receiver) -> None:
    server.put(patient("a", gender="female"))
    server.put(
        topic_subscription(
            "s", "encounter-admission", receiver.url, content="full-resource", payload="application/fhir+xml"
        )
    )
    server.put(topic_subscription("t", "encounter-admission", receiver.url, content="full-resource"))
    server.work()
    server.put(encounter("e", "in-progress"))
    server.work()
    in_xml, in_json = receiver.requests[2:]
    assert in_xml.headers["Content-Type"] == "application/fhir+xml"
    assert b"<Patient" in in_xml.body
    resources = [each["resource"]["resourceType"] for each in in_json.json["entry"]]
    assert resources == ["Parameters", "Encounter", "Patient"]
    parts = in_json.json["entry"][0]["resource"]["parameter"][-1]["part"]
    assert [each["name"] for each in parts] == ["event-number", "timestamp", "focus", "additional-context"]


def test_topic_looks_at_the_version_before(server: Subscribed, receiver: Receiver) -> None:
    server.put(
        topic_subscription("in", "encounter-admission", receiver.url),
        topic_subscription("out", "encounter-discharge", receiver.url),
    )
    server.work()
    del receiver.requests[:]
    for status in ("planned", "in-progress", "in-progress", "onleave", "in-progress", "finished", "finished"):
        server.put(encounter("e", status) | {"length": {"value": len(receiver.requests)}})
    server.put(encounter("visit", "in-progress", kind="AMB"))
    server.work()
    told = [(each.status["subscription"][-4:-2], each.numbers) for each in receiver.requests]
    assert sorted(told) == [("in", [1]), ("in", [2]), ("ut", [1])]


def test_filters_must_all_hold(server: Subscribed, receiver: Receiver) -> None:
    server.put(
        topic_subscription(
            "s",
            "laboratory-result",
            receiver.url,
            filters=("Observation?patient=Patient/a", "code=http://loinc.org|1975-2"),
        )
    )
    server.work()
    laboratory: JsonObject = {
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ]
    }
    mine: JsonObject = {"subject": {"reference": "Patient/a"}}
    other: JsonObject = {"subject": {"reference": "Patient/b"}}
    server.put(
        observation("1", **laboratory, **mine),
        observation("2", **laboratory, **other),
        observation("3", "other", **laboratory, **mine),
        observation("4", **mine),
        observation("5", **laboratory, **mine) | {"status": "preliminary"},
    )
    server.work()
    (event,) = receiver.requests[1:]
    assert event.json["entry"][1]["fullUrl"].endswith("/Observation/1")


def test_topic_that_is_stored_as_basic_is_a_topic(server: Subscribed, receiver: Receiver) -> None:
    cross = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
    url = "http://example.org/SubscriptionTopic/renamed"
    server.put(
        {
            "resourceType": "Basic",
            "id": "topic",
            "extension": [
                {"url": f"{cross}url", "valueUri": url},
                {
                    "url": f"{cross}resourceTrigger",
                    "extension": [
                        {"url": "resource", "valueUri": "Patient"},
                        {
                            "url": "fhirPathCriteria",
                            "valueString": "%previous.exists()"
                            " and %previous.name.family != %current.name.family",
                        },
                    ],
                },
            ],
            "modifierExtension": [{"url": f"{cross}status", "valueCode": "active"}],
            "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
        },
        topic_subscription("s", url, receiver.url),
    )
    server.work()
    assert server.get("Subscription/s")["status"] == "active"
    server.put(patient("a", name=[{"family": "Li"}]))
    server.put(patient("a", name=[{"family": "Li"}], gender="female"))
    server.put(patient("a", name=[{"family": "Wang"}]))
    server.work()
    (event,) = receiver.requests[1:]
    assert event.json["entry"][1]["response"]["etag"] == 'W/"3"'


def test_unknown_topic_is_an_error_that_names_those_that_are_known(
    server: Subscribed, receiver: Receiver
) -> None:
    server.put(topic_subscription("s", "http://example.org/none", receiver.url))
    server.work()
    stored = server.get("Subscription/s")
    assert stored["status"] == "error"
    assert stored["error"].startswith(
        "There is no topic `http://example.org/none` here; there are http://hie"
    )


def test_filter_that_cannot_be_searched_is_refused(server: Subscribed, receiver: Receiver) -> None:
    asked = topic_subscription("s", "patient-change", receiver.url, filters=("Encounter?status=planned",))
    assert_outcome(
        server.client.put("Subscription/s", content=dumps(asked)),
        422,
        "value",
        "`Encounter?status=planned` filters Encounter; the topic has events of Patient",
        "Subscription.criteria",
    )


def test_as_many_events_as_the_subscription_asks_for_go_into_one_notification(
    server: Subscribed, receiver: Receiver
) -> None:
    server.put(topic_subscription("s", "patient-change", receiver.url, max_count={"valuePositiveInt": 3}))
    server.work()
    server.put(*(patient(f"p{number}") for number in range(7)))
    server.work()
    assert [each.numbers for each in receiver.requests[1:]] == [[1, 2, 3], [4, 5, 6], [7]]


def test_heartbeat_is_sent_when_nothing_happens(server: Subscribed, receiver: Receiver) -> None:
    server.put(
        topic_subscription("s", "patient-change", receiver.url, heartbeat_period={"valueUnsignedInt": 1})
    )
    server.work()
    with server.exchange.database.transaction() as transaction:
        transaction.connection.execute("SELECT pg_sleep(1.1)")
    server.work()
    assert [each.status["type"] for each in receiver.requests] == ["handshake", "heartbeat"]
    assert receiver.requests[1].status["status"] == "active"


def test_status_and_events(server: Subscribed, receiver: Receiver) -> None:
    server.put(
        topic_subscription("s", "patient-change", receiver.url),
        topic_subscription("t", "patient-change", receiver.url) | {"status": "off"},
    )
    server.work()
    server.put(patient("a"), patient("b"), patient("c"))
    server.work()
    one = server.get("Subscription/s/$status")
    assert (one["type"], one["total"]) == ("searchset", 1)
    parameters = {each["name"]: each for each in one["entry"][0]["resource"]["parameter"]}
    assert parameters["type"]["valueCode"] == "query-status"
    assert parameters["events-since-subscription-start"]["valueString"] == "3"
    assert server.get("Subscription/$status")["total"] == 2
    assert server.get("Subscription/$status?status=off")["total"] == 1
    assert server.get("Subscription/$status?id=s&id=t&status=active")["total"] == 1

    events = server.get("Subscription/s/$events?eventsSinceNumber=2&eventsUntilNumber=3")
    assert events["type"] == "history"
    assert [each["fullUrl"].rpartition("/")[2] for each in events["entry"][1:]] == ["b", "c"]
    assert len(server.get("Subscription/s/$events?content=empty")["entry"]) == 1
    full = server.get("Subscription/s/$events?content=full-resource")
    assert all("resource" not in each for each in full["entry"][1:])
    assert_outcome(
        server.client.get("Subscription/s/$events?eventsSinceNumber=x"),
        400,
        "value",
        "`x` is no event number",
        "eventsSinceNumber",
    )
    assert server.client.get("Subscription/none/$events").status_code == 404


def test_topics_and_websocket_are_in_the_capability_statement(server: Subscribed) -> None:
    (rest,) = server.get("metadata")["rest"]
    assert rest["extension"] == [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket",
            "valueUri": "ws://127.0.0.1:8000/fhir/ws",
        }
    ]
    (described,) = [each for each in rest["resource"] if each["type"] == "Subscription"]
    topics = [each["valueCanonical"].rpartition("/")[2] for each in described["extension"]]
    assert topics == ["encounter-admission", "encounter-discharge", "laboratory-result", "patient-change"]
    names = {each["name"] for each in described["operation"]}
    assert {"status", "events", "get-ws-binding-token", "dead-letters", "redrive"} <= names
