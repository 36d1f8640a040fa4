"""The whole application in this process with an operator at a browser, and workers that work when told to."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from fhir_server.jobs import queue
from hie import app, wiring
from hie.core.access import ANONYMOUS, Requester
from hie.core.clock import SystemClock
from hie.core.fhir.json import JsonObject, dumps
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.subscriptions.receiver import Receiver
from tests.fhir_server.subscriptions.server import Subscribed, patient, subscription, topic_subscription
from tests.hie.portal.browser import Browser

PATIENT = "测试患者甲"


@dataclass
class Workplace:
    """An exchange with its FHIR clients and its operator's browser."""

    exchange: wiring.Exchange
    fhir: Client
    browser: Browser
    worker: Subscribed

    @classmethod
    def of(cls, exchange: wiring.Exchange) -> "Workplace":
        """Return the workplace on `exchange`."""
        application = app.build(exchange)
        fhir = Client(application)
        return cls(exchange, fhir, Browser(application), Subscribed(exchange, fhir))

    def put(self, resource: JsonObject) -> None:
        """Update a resource."""
        name = f"{resource['resourceType']}/{resource['id']}"
        answer = self.fhir.put(name, content=dumps(resource))
        assert answer.status_code < 300, answer.text

    def begin(self, path: str) -> str:
        """Ask for `path` asynchronously and return the id of the job."""
        answer = self.fhir.get(path, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        return answer.headers["Content-Location"].rpartition("/")[2]

    def enqueue(
        self, identity: UUID, *, kind: str = "export", requester: Requester = ANONYMOUS, url: str = ""
    ) -> None:
        """Enter a job as a request does."""
        with self.exchange.database.transaction(requester=requester) as transaction:
            queue.enqueue(
                transaction,
                kind=kind,
                request=f"http://127.0.0.1:8000/fhir/{url or '$export'}",
                parameters={"url": url, "return": "minimal", "is_lenient": False},
                now=SystemClock().now(),
                identity=identity,
            )

    def work(self) -> None:
        """Work all jobs to their end."""
        runner = self.exchange.job_runner()
        while runner.work_one():
            pass

    def age(self, identity: str, seconds: int) -> None:
        """Have the job begun so much earlier."""
        with self.exchange.database.transaction() as transaction:
            transaction.connection.execute(
                "UPDATE job SET created_at = created_at - make_interval(secs => %s) WHERE id = %s",
                (seconds, identity),
            )

    def state_of(self, identity: str) -> str:
        """Return the state of the job, empty when there is none."""
        with self.exchange.database.transaction() as transaction:
            row = transaction.connection.execute(
                "SELECT state FROM job WHERE id = %s", (identity,)
            ).fetchone()
        return row[0] if row else ""


def fill(place: Workplace, receiver: Receiver) -> None:
    """Have jobs in every state, and a subscription given up with three events that wait.

    The settings of the exchange let the receiver be called, and give up after two attempts.
    """
    place.put(topic_subscription("laboratory", "patient-change", receiver.url))
    place.put(subscription("registry", "Patient?active=true", receiver.url))
    place.worker.work()
    receiver.answer = lambda received: 503 if received.json["resourceType"] == "Bundle" else 200
    for number in range(3):
        place.put(patient(f"p{number}", name=[{"text": PATIENT}]))
    place.worker.work()
    with place.exchange.database.transaction() as transaction:
        transaction.connection.execute("UPDATE subscription SET due_at = now() WHERE due_at > now()")
    place.worker.work()
    place.begin("$export?_type=Patient,Subscription")
    place.begin("Patient?birthdate=yesterday")
    place.enqueue(uuid4(), kind="import", url="$import")
    place.begin(f"Patient?name={PATIENT}")
    place.work()
    place.age(place.begin("$export?_since=2026-01-01T00:00:00Z"), 600)
