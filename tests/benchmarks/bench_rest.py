"""The RESTful interactions over HTTP: reads, a mix of create, read, update and delete, and Bundles.

`hie serve` with two processes, structural validation on, on the embedded PostgreSQL with fsync on;
server, database and load share the cores. The mix is the published one of nine types
(k6 scripts of HealthSamurai/fhir-server-performance-benchmark: in each round every type is created,
read, updated and deleted). Alone: ``python -m tests.benchmarks --size small rest``.
"""

from collections.abc import Callable
from random import Random
from uuid import UUID

from hie.core.fhir.json import JsonObject, dumps
from tests.benchmarks import resources
from tests.benchmarks.http import load, server
from tests.benchmarks.http.load import Client, Request

SECONDS = {"small": 3.0, "full": 30.0}
BUNDLE_ENTRIES = 300
_KNOWN = 1_000
_DATABASE = "hie_bench_rest"


def main(size: str = "small") -> None:
    """Print requests a second, p50 and p99 of each kind of load, and the memory of the processes."""
    seconds = SECONDS[size]
    url, _ = server.database(_DATABASE)
    with server.serving(url) as running:
        known = prepare(running.port)
        for connections in (1, 8, 16):
            made = load.run(running.port, [reads(known, n) for n in range(connections)], seconds)
            print(made.line(f"read by id, {connections} connections"), flush=True)
        mixed = load.run(running.port, [mix(n) for n in range(16)], seconds)
        print(mixed.line("create, read, update, delete of nine types, 16 connections"))
        for kind in ("create", "read", "update", "delete"):
            print("  " + mixed.line(kind, [kind]), flush=True)
        for connections in (1, 8, 32):
            pairs = load.run(running.port, [_pairs(n) for n in range(connections)], seconds)
            print(pairs.line(f"transactions of 2, {connections} connections"), flush=True)
        for connections in (1, 4):
            bundles = load.run(running.port, [_bundles(n) for n in range(connections)], seconds)
            print(
                bundles.line(f"transactions of {BUNDLE_ENTRIES}, {connections} connections")
                + f"; {bundles.rate * BUNDLE_ENTRIES:,.0f} resources/s",
                flush=True,
            )
        print("memory, MB a process: " + ", ".join(f"{each:.0f}" for each in running.memory_megabytes()))
    server.drop(_DATABASE)


def prepare(port: int) -> list[str]:
    """Store the resources that are read, and return their paths."""
    random = Random(1)  # noqa: S311 - test data
    paths: list[str] = []

    def client() -> Client:
        for number in range(_KNOWN):
            resource = resources.NINE[number % len(resources.NINE)](random)
            answer = yield _create(resource)
            paths.append(answer.location)

    load.once(port, client)
    return paths


def _create(resource: JsonObject) -> Request:
    return Request("create", "POST", f"/fhir/{resource['resourceType']}", dumps(resource), (201,))


def reads(paths: list[str], seed: int) -> Callable[[], Client]:
    """Return a client that reads `paths` at random."""
    random = Random(seed)  # noqa: S311 - test data

    def client() -> Client:
        while True:
            yield Request("read", "GET", random.choice(paths))

    return client


def mix(seed: int) -> Callable[[], Client]:
    """Return a client that creates, reads, updates and deletes."""
    random = Random(seed)  # noqa: S311 - test data

    def client() -> Client:
        while True:
            given = [make(random) for make in resources.NINE]
            paths = []
            for resource in given:
                answer = yield _create(resource)
                paths.append(answer.location)
            for path in paths:
                yield Request("read", "GET", path)
            for path, resource in zip(paths, given, strict=True):
                identity = path.rpartition("/")[2]
                changed = {**resource, "id": identity, "language": "zh-CN"}
                yield Request("update", "PUT", path, dumps(changed))
            for path in paths:
                yield Request("delete", "DELETE", path, expected=(200, 204))

    return client


def _pairs(seed: int) -> Callable[[], Client]:
    random = Random(seed)  # noqa: S311 - test data

    def client() -> Client:
        while True:
            yield _transaction("pair", [_patient_with_observation(random)])

    return client


def _bundles(seed: int) -> Callable[[], Client]:
    random = Random(seed)  # noqa: S311 - test data

    def client() -> Client:
        while True:
            yield _transaction(
                "bundle", [_patient_with_observation(random) for _ in range(BUNDLE_ENTRIES // 2)]
            )

    return client


def _transaction(kind: str, parts: list[list[JsonObject]]) -> Request:
    entries = [entry for part in parts for entry in part]
    return Request(
        kind,
        "POST",
        "/fhir",
        dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}),
        (200,),
    )


def _patient_with_observation(random: Random) -> list[JsonObject]:
    urn = f"urn:uuid:{UUID(int=random.getrandbits(128), version=4)}"
    observation = resources.observation(random, subject={"reference": urn})
    return [
        {
            "fullUrl": urn,
            "resource": resources.patient(random),
            "request": {"method": "POST", "url": "Patient"},
        },
        {"resource": observation, "request": {"method": "POST", "url": "Observation"}},
    ]
