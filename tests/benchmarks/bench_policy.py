"""The access policy: one decision, and reads and writes by the repository with the policy on and off.

Alternately on one database, in one process, so that whatever else the machine does meets both; the load on
a server's sockets is `bench_rest`'s. Alone: ``python -m tests.benchmarks --size small policy``.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fhir_server.transaction.entry import Operation
from hie import wiring
from hie.core.access import SYSTEM, Attempt, Requester
from hie.core.clock import SystemClock
from hie.core.errors import NotFoundError
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from hie.policy.access import RuledPolicy
from tests.benchmarks.http import server
from tests.hie.policy.city import CITIZEN, CLINICIAN, COLLEAGUE, encounter, put, with_doctor

_DATABASE = "hie_bench_policy"
_PATIENTS = {"small": 300, "full": 5_000}
_TURNS = {"small": 400, "full": 4_000}


def main(size: str = "small") -> None:
    """Print the figures."""
    url, _ = server.database(_DATABASE)
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(var_dir=Path(folder), audit="off")
            policy = wiring.policy(settings, SystemClock())
            with (
                wiring.build(settings, database_url=url) as off,
                wiring.build(settings, database_url=url, access=policy) as on,
            ):
                _store(off, _PATIENTS[size])
                _decide(policy, _TURNS[size])
                for name, who in (("citizen", CITIZEN), ("clinician", CLINICIAN), ("colleague", COLLEAGUE)):
                    _compare(f"read of the same 20 by id, {name}", off, on, who, _TURNS[size], _read)
                    _compare(f"read by id for the first time, {name}", off, on, who, 200, _read_another)
                    _compare(f"search of one patient, {name}", off, on, who, _TURNS[size] // 4, _search)
                _compare("update, clinician", off, on, CLINICIAN, _TURNS[size] // 4, _update)
    finally:
        server.drop(_DATABASE)


def _store(exchange: wiring.Exchange, patients: int) -> None:
    resources: list[JsonObject] = []
    names = ["x", *(f"p-{number}" for number in range(patients))]
    for name in names:
        resources.append({"resourceType": "Patient", "id": name, "birthDate": "1980-01-01"})
        for number in range(5):
            hospital = {"serviceProvider": {"reference": "Organization/h-x"}}
            resources.append(encounter(f"e{number}-{name}", name, **with_doctor("d-x"), **hospital))
            resources.extend(_observation(f"o{number}{place}-{name}", name) for place in range(4))
    with exchange.database.transaction() as transaction:
        for at in range(0, len(resources), 500):
            exchange.repository.transact(transaction, [put(*resources[at : at + 500])])
    with exchange.database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")


def _observation(name: str, patient: str, **elements: str) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
        **elements,
    }


def _decide(policy: RuledPolicy, turns: int) -> None:
    resource = _observation("o", "x")
    attempt = Attempt("create", "Observation", "o", resource, selects=lambda *_: True)
    found = []
    for _ in range(turns * 10):
        began = time.perf_counter()
        policy.readable(CLINICIAN, "Observation")
        policy.decide(CLINICIAN, attempt)
        found.append((time.perf_counter() - began) * 1e6)
    found.sort()
    median, p95 = found[len(found) // 2], found[len(found) * 95 // 100]
    print(f"decision (what may be read, and a create): median {median:.0f} µs, p95 {p95:.0f} µs")


Work = Callable[[wiring.Exchange, Requester, int], None]


def _read(exchange: wiring.Exchange, who: Requester, turn: int) -> None:
    with exchange.database.reading(requester=who) as reading:
        exchange.repository.read(reading, "Observation", f"o{turn % 5}{turn % 4}-x")


def _read_another(exchange: wiring.Exchange, who: Requester, turn: int) -> None:
    """Read what was not read before: clinicians treat everybody here, a citizen is shown nothing."""
    number = turn % 1_000
    with exchange.database.reading(requester=who) as reading:
        try:
            exchange.repository.read(
                reading, "Observation", f"o{number % 5}{number // 5 % 4}-p-{number // 20}"
            )
        except NotFoundError:
            return


def _search(exchange: wiring.Exchange, who: Requester, turn: int) -> None:
    with exchange.database.reading(requester=who) as reading:
        parameters = [("patient", "Patient/x"), ("_count", str(5 + turn % 5))]
        exchange.repository.search(reading, "Observation", parameters)


def _update(exchange: wiring.Exchange, who: Requester, turn: int) -> None:
    resource = _observation(
        f"o{turn % 5}{turn % 4}-x", "x", effectiveDateTime=f"2026-01-01T{turn % 24:02}:00:00Z"
    )
    operation = Operation("PUT", type="Observation", id=resource["id"], resource=resource)
    with exchange.database.transaction(requester=who) as transaction:
        exchange.repository.apply_whole(transaction, [operation])


def _compare(
    name: str, off: wiring.Exchange, on: wiring.Exchange, who: Requester, turns: int, work: Work
) -> None:
    walls: dict[str, list[float]] = {"off": [], "on": []}
    costs = {"off": 0.0, "on": 0.0}
    for exchange, requester in ((off, SYSTEM), (on, who)):
        for turn in range(40):
            work(exchange, requester, turn)
    for turn in range(turns):
        for state, exchange, requester in (("off", off, SYSTEM), ("on", on, who)):
            cpu, began = time.process_time(), time.perf_counter()
            work(exchange, requester, turn + (state == "on"))
            walls[state].append((time.perf_counter() - began) * 1e6)
            costs[state] += time.process_time() - cpu
    without, with_it = statistics.median(walls["off"]), statistics.median(walls["on"])
    p95 = sorted(walls["on"])[len(walls["on"]) * 95 // 100]
    print(
        f"{name}: {without:.0f} µs without, {with_it:.0f} µs with ({100 * (with_it / without - 1):+.0f} %),"
        f" p95 {p95:.0f} µs; our processor {costs['off'] / turns * 1e6:.0f} and"
        f" {costs['on'] / turns * 1e6:.0f} µs",
        flush=True,
    )
