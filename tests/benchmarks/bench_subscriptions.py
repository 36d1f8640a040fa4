"""Changes matched against a thousand subscriptions, and notifications sent to one endpoint of this machine.

Worker, database and endpoint share the machine. Every change is an outbox event of its own. Small: 1,000
changes; full: 10,000.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

from hie import wiring
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from hie.worker import deliver_all
from tests.benchmarks import resources
from tests.benchmarks.http import server
from tests.fhir_server.subscriptions.receiver import Receiver
from tests.fhir_server.subscriptions.server import subscription, topic_subscription

_CHANGES: Final = {"small": 1_000, "full": 10_000}
_SUBSCRIPTIONS: Final = 1_000
_BUNDLE: Final = 250


def main(size: str) -> None:
    """Print changes matched a second without and with subscriptions, and notifications sent a second."""
    changes = _CHANGES[size]
    url, _ = server.database(f"subscriptions_{size}")
    with Receiver() as receiver:
        settings = Settings(subscription_endpoints=(f"http://127.0.0.1:{receiver.port}/",))
        with wiring.build(settings, database_url=url) as exchange:
            _match(exchange, "no subscription", changes, seed=1)
            _store(exchange, list(_subscriptions(receiver.url)))
            began = time.perf_counter()
            deliver_all(exchange)
            print(f"{_SUBSCRIPTIONS} subscriptions are registered in {time.perf_counter() - began:.2f} s")
            _match(exchange, f"{_SUBSCRIPTIONS} subscriptions", changes, seed=2)
            _send(exchange, receiver)


def _match(exchange: wiring.Exchange, name: str, changes: int, *, seed: int) -> None:
    deliver_all(exchange)
    for one in _observations(changes, seed):
        _store(exchange, [one])
    before = _events(exchange)
    began = time.perf_counter()
    deliver_all(exchange)
    seconds = time.perf_counter() - began
    events = _events(exchange) - before
    print(f"{name}: {changes / seconds:,.0f} changes matched a second, {events} events of {changes} changes")


def _send(exchange: wiring.Exchange, receiver: Receiver) -> None:
    waiting = _pending(exchange)
    with _sending(exchange):
        began = time.perf_counter()
        while _pending(exchange):
            time.sleep(0.05)
        seconds = time.perf_counter() - began
    threads = exchange.settings.subscription_threads
    rate = len(receiver.requests) / seconds
    print(f"{threads} threads: {rate:,.0f} notifications sent a second, {waiting} events")


@contextmanager
def _sending(exchange: wiring.Exchange) -> Iterator[None]:
    notifier = exchange.notifier()
    threads = [threading.Thread(target=notifier.run) for _ in range(exchange.settings.subscription_threads)]
    for thread in threads:
        thread.start()
    yield
    notifier.stop()
    for thread in threads:
        thread.join()


def _events(exchange: wiring.Exchange) -> int:
    return _count(exchange, "SELECT coalesce(sum(event_count), 0) FROM subscription")


def _pending(exchange: wiring.Exchange) -> int:
    return _count(
        exchange,
        "SELECT coalesce(sum(event_count - delivered), 0) FROM subscription WHERE channel = 'rest-hook'",
    )


def _count(exchange: wiring.Exchange, statement: str) -> int:
    with exchange.database.transaction() as transaction:
        row = transaction.connection.execute(statement).fetchone()
    return 0 if row is None else int(row[0])


def _subscriptions(endpoint: str) -> Iterator[JsonObject]:
    """Half by code and patient, a quarter by patient and value, a quarter of a topic by patient."""
    for number in range(_SUBSCRIPTIONS):
        of = f"Patient/p{number % 500}"
        if number % 4 == 3:
            filters = (f"Observation?patient={of}",)
            yield topic_subscription(f"s{number}", "laboratory-result", None, filters=filters)
        elif number % 4 == 2:
            yield subscription(f"s{number}", f"Observation?patient={of}&value-quantity=gt100", endpoint)
        else:
            criteria = f"Observation?patient={of}&code=http://loinc.org|{700 + number % 200}-7"
            yield subscription(f"s{number}", criteria, endpoint, payload="application/fhir+json")


def _observations(changes: int, seed: int) -> Iterator[JsonObject]:
    random = Random(seed)  # noqa: S311 - test data
    for number in range(changes):
        found = resources.observation(random)
        yield {**found, "id": f"o{number}", "subject": {"reference": f"Patient/p{random.randrange(500)}"}}


def _store(exchange: wiring.Exchange, listed: list[JsonObject]) -> None:
    for begin in range(0, len(listed), _BUNDLE):
        entries = [
            {
                "resource": each,
                "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"},
            }
            for each in listed[begin : begin + _BUNDLE]
        ]
        with exchange.database.transaction() as transaction:
            bundle: JsonObject = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            (result,) = exchange.repository.transact(transaction, [bundle])
            if result.error is not None:
                raise result.error
