"""$everything of patients with 1,000 resources each, whole in one Bundle, and compartment pages of 20.

Server, database and load generator share the machine. Small: 20 patients; full: 200.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from hie import wiring
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.benchmarks import resources
from tests.benchmarks.http import load, server

_RECORD: Final = 1_000
_SECONDS: Final = {"small": 5.0, "full": 15.0}
_PATIENTS: Final = {"small": 20, "full": 200}
_BUNDLE: Final = 250
_KINDS: Final[tuple[Callable[[Random], JsonObject], ...]] = (
    resources.observation,
    resources.observation,
    resources.observation,
    resources.observation,
    resources.medication_request,
    resources.encounter,
)


def main(size: str) -> None:
    """Print calls a second with p50 and p99, and the size of an answer."""
    patients = _PATIENTS[size]
    url, is_new = server.database(f"everything_{size}", is_kept=True)
    if is_new:
        _fill(url, patients)
    with server.serving(url) as running:
        for clients in (1, 4):
            for name, query in (("whole record", ""), ("page of 20", "?_count=20")):
                measured = load.run(
                    running.port,
                    [partial(_calls, patients, query, number) for number in range(clients)],
                    _SECONDS[size],
                )
                print(measured.line(f"$everything, {name}, {_RECORD} resources, {clients} clients"))
        print(f"memory of the processes: {[round(each) for each in running.memory_megabytes()]} MB")


def _calls(patients: int, query: str, seed: int) -> load.Client:
    random = Random(seed)  # noqa: S311 - which record is asked for
    while True:
        path = f"/fhir/Patient/p{random.randrange(patients)}/$everything{query}"
        yield load.Request("everything", "GET", path)


def _fill(url: str, patients: int) -> None:
    random = Random(7)  # noqa: S311 - test data
    with wiring.build(Settings(), database_url=url) as exchange:
        shared = [
            _entry("Organization", "bench", resources.organization(random)),
            *(_entry("Practitioner", f"d{number}", resources.practitioner(random)) for number in range(30)),
        ]
        _store(exchange, shared)
        for number in range(patients):
            record = [_entry("Patient", f"p{number}", resources.patient(random))]
            for position in range(_RECORD - 1):
                resource = _KINDS[position % len(_KINDS)](random)
                resource["subject"] = {"reference": f"Patient/p{number}"}
                for participant in resource.get("participant", ()):
                    participant["individual"] = {"reference": f"Practitioner/d{random.randrange(30)}"}
                record.append(_entry(resource["resourceType"], f"p{number}-{position}", resource))
            for begin in range(0, len(record), _BUNDLE):
                _store(exchange, record[begin : begin + _BUNDLE])
        with exchange.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


def _entry(resource_type: str, resource_id: str, resource: JsonObject) -> JsonObject:
    return {
        "resource": {**resource, "id": resource_id},
        "request": {"method": "PUT", "url": f"{resource_type}/{resource_id}"},
    }


def _store(exchange: wiring.Exchange, entries: list[JsonObject]) -> None:
    with exchange.database.transaction() as transaction:
        bundle: JsonObject = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        (result,) = exchange.repository.transact(transaction, [bundle])
        if result.error is not None:
            raise result.error
