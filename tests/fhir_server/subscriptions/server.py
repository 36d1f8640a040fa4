"""A server with subscriptions, whose worker works when it is told to."""

from dataclasses import dataclass
from functools import cached_property

from fhir_server.subscriptions.notifier import Notifier
from fhir_server.transaction.entry import Operation
from hie import wiring
from hie.core.access import SYSTEM, Requester
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from hie.worker import deliver_all
from tests.fhir_server.interactions.client import Client


@dataclass
class Subscribed:
    """Paths are relative to the FHIR base."""

    exchange: wiring.Exchange
    client: Client

    @cached_property
    def notifier(self) -> Notifier:
        """What sends notifications, by the settings of the exchange."""
        return self.exchange.notifier()

    def put(self, *resources: JsonObject) -> None:
        """Update each resource."""
        for resource in resources:
            name = f"{resource['resourceType']}/{resource['id']}"
            answer = self.client.put(name, content=dumps(resource))
            assert answer.status_code < 300, answer.text

    def get(self, path: str) -> Json:
        """Return what is answered to a GET."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return loads(answer.content)

    def put_as(self, requester: Requester, resource: JsonObject) -> None:
        """Update a resource on behalf of `requester`."""
        repository = self.exchange.repository
        with self.exchange.database.transaction(requester=requester) as transaction:
            repository.apply_one(
                transaction,
                Operation("PUT", resource["resourceType"], id=resource["id"], resource=resource),
            )

    def match(self) -> None:
        """Deliver the outbox: register subscriptions, number events; no handler may fail."""
        deliver_all(self.exchange)
        with self.exchange.database.transaction() as transaction:
            failed = transaction.connection.execute("SELECT error FROM outbox WHERE attempts > 0").fetchall()
        assert not failed, failed[0][0]

    def work(self) -> None:
        """Deliver the outbox and send all that is due now, until nothing is."""
        while True:
            self.match()
            if not self.notifier.work_one():
                self.match()
                return

    def count_outbox(self) -> int:
        """Return how many events wait in the outbox."""
        with self.exchange.database.transaction(requester=SYSTEM) as transaction:
            row = transaction.connection.execute("SELECT count(*) FROM outbox").fetchone()
        assert row is not None
        return int(row[0])


def subscription(identity: str, criteria: str, endpoint: str, **channel: Json) -> JsonObject:
    """Return a Subscription of R4 criteria by rest-hook."""
    return {
        "resourceType": "Subscription",
        "id": identity,
        "status": "requested",
        "reason": "test",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": endpoint, **channel},
    }


_GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
TOPIC = "http://hie.example/fhir/SubscriptionTopic/"


def topic_subscription(
    identity: str,
    topic: str,
    endpoint: str | None,
    *,
    content: str = "id-only",
    filters: tuple[str, ...] = (),
    payload: str = "application/fhir+json",
    **extensions: JsonObject,
) -> JsonObject:
    """Return a Subscription of the Backport guide; without endpoint by websocket.

    `extensions` are of the channel: ``heartbeat_period={"valueUnsignedInt": 60}``.
    """
    channel: JsonObject = {
        "type": "websocket" if endpoint is None else "rest-hook",
        "payload": payload,
        "_payload": {"extension": [{"url": f"{_GUIDE}backport-payload-content", "valueCode": content}]},
    }
    if endpoint is not None:
        channel["endpoint"] = endpoint
    if extensions:
        channel["extension"] = [
            {"url": f"{_GUIDE}backport-{name.replace('_', '-')}", **value}
            for name, value in extensions.items()
        ]
    made: JsonObject = {
        "resourceType": "Subscription",
        "id": identity,
        "status": "requested",
        "reason": "test",
        "criteria": topic if "://" in topic else f"{TOPIC}{topic}",
        "channel": channel,
    }
    if filters:
        made["_criteria"] = {
            "extension": [
                {"url": f"{_GUIDE}backport-filter-criteria", "valueString": each} for each in filters
            ]
        }
    return made


def patient(identity: str, **elements: Json) -> JsonObject:
    """Return a Patient."""
    return {"resourceType": "Patient", "id": identity, **elements}


def observation(identity: str, code: str = "1975-2", **elements: Json) -> JsonObject:
    """Return a final Observation of a LOINC code."""
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        **elements,
    }


def encounter(identity: str, status: str, of: str = "a", kind: str = "IMP") -> JsonObject:
    """Return an Encounter of a Patient."""
    return {
        "resourceType": "Encounter",
        "id": identity,
        "status": status,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind},
        "subject": {"reference": f"Patient/{of}"},
    }
