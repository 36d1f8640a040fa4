"""What security costs: reads, writes and searches over HTTP with token, policy and audit trail, and without.

Two servers of one process each on one database, one with HIE_AUTH=on and HIE_AUDIT=on, one with both off, are
loaded in turn, so that whatever else the machine does meets both. Those who ask with security on are a
hospital's system (Backend Services, ``system/*.cruds``) and a clinician who treats every patient there is.
Beside rates and times stands the processor time of the server's process and of PostgreSQL a request, which
depends less on what else the machine does. Alone: ``python -m tests.benchmarks --size small security``.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Final
from uuid import uuid4

from fhir_server.access import Access
from hie import wiring
from hie.core.access import Attempt, Requester, Role
from hie.core.fhir.json import JsonObject, dumps
from hie.core.settings import Settings
from hie.identity.accounts import Links, add_account
from hie.identity.clients import Registration, register
from hie.identity.tables import Grant
from tests.benchmarks import resources
from tests.benchmarks.http import load, server
from tests.benchmarks.http.load import Client, Load, Request
from tests.hie.policy.city import put

_DATABASE: Final = "hie_bench_security"
_SECONDS: Final = {"small": 1.5, "full": 6.0}
_ROUNDS: Final = {"small": 1, "full": 2}
_TURNS: Final = {"small": 300, "full": 2_000}
_PATIENTS: Final = 200
_BASE: Final = "http://127.0.0.1/fhir"
_PASSWORD: Final = "Vier-Wände7 kosten"  # noqa: S105 - of an account that lives as long as the benchmark
_GRANTED: Final = "user/*.cruds"
_CARE: Final = {
    "participant": [{"individual": {"reference": "Practitioner/bench"}}],
    "serviceProvider": {"reference": "Organization/bench"},
}
# What a clinician writes.
_NOTES: Final = (
    resources.observation,
    resources.medication_request,
    resources.condition,
    resources.service_request,
    resources.diagnostic_report,
)

Make = Callable[[int], Callable[[], Client]]


def main(size: str = "small") -> None:
    """Print the figures."""
    url, _ = server.database(_DATABASE)
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(auth="on", var_dir=Path(folder), audit="off", base_url=_BASE)
            with wiring.build(settings, database_url=url) as exchange:
                known = _store(exchange)
                tokens = _tokens(exchange)
                _check(exchange, tokens, _TURNS[size])
                _decide(exchange, tokens, _TURNS[size])
            _serve(url, folder, known, tokens, size)
    finally:
        server.drop(_DATABASE)


def _store(exchange: wiring.Exchange) -> list[str]:
    """Store patients with their records, and return the paths of the records."""
    random = Random(1)  # noqa: S311 - test data
    today = exchange.clock.now().date().isoformat()
    paths: list[str] = []
    for number in range(_PATIENTS):
        record = _record(random, f"p{number}", today)
        paths += [f"/fhir/{each['resourceType']}/{each['id']}" for each in record]
        with exchange.database.transaction() as transaction:
            for result in exchange.repository.transact(transaction, [put(*record)]):
                if result.error is not None:
                    raise result.error
    with exchange.database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
    return paths


def _record(random: Random, patient: str, today: str) -> list[JsonObject]:
    subject = {"reference": f"Patient/{patient}"}
    owned: list[JsonObject] = [
        make(random, id=f"{patient}-{place}", subject=subject)
        for place, make in enumerate((*_NOTES, *_NOTES))
    ]
    return [
        resources.patient(random, id=patient),
        resources.encounter(
            random, id=f"{patient}-e", subject=subject, period={"start": f"{today}T00:00:00Z"}, **_CARE
        ),
        *owned,
    ]


@dataclass(frozen=True, slots=True)
class _Asker:
    """Somebody who asks: the bearer token, and who that is for the policy."""

    token: str
    requester: Requester


def _tokens(exchange: wiring.Exchange) -> dict[str, _Asker]:
    """Return who asks, by name."""
    identity, now = exchange.identity, exchange.clock.now()
    identity.prepare()
    with exchange.database.transaction() as transaction:
        system = Registration(
            "Hospital",
            "client_secret_basic",
            ("system/*.cruds",),
            grant_types=("client_credentials",),
            client_id="bench",
            organization_id="bench",
        )
        register(transaction, system, now=now)
        person = add_account(
            transaction,
            "bench",
            roles=[Role.CLINICIAN],
            password=_PASSWORD,
            rule=identity.password_rule,
            now=now,
            links=Links(practitioner="bench", organization="bench"),
        )
        grant = Grant(
            id=uuid4(),
            client_id="bench",
            account_id=person.account.id,
            scope=_GRANTED,
            methods=["pwd"],
            authenticated_at=now,
            created_at=now,
            ends_at=now + timedelta(hours=1),
        )
        personal = identity.tokens.for_person(
            person, grant, [_GRANTED], now=now, life=timedelta(minutes=30)
        ).text
    found = {
        "hospital": str(identity.token_for_client("bench", "system/*.cruds").body["access_token"]),
        "clinician": personal,
    }
    authenticate = identity.authenticator.authenticate
    return {
        name: _Asker(token, authenticate({"authorization": f"Bearer {token}"}))
        for name, token in found.items()
    }


def _check(exchange: wiring.Exchange, askers: Mapping[str, _Asker], turns: int) -> None:
    authenticator = exchange.identity.authenticator
    headers = {"authorization": f"Bearer {askers['clinician'].token}"}

    def check(_turn: int) -> None:
        authenticator.recall(headers) or authenticator.authenticate(headers)

    print(f"token check, known: {_times(check, turns * 20)}")
    fresh = [
        str(exchange.identity.token_for_client("bench", "system/*.cruds").body["access_token"])
        for _ in range(turns // 4)
    ]
    print(
        "token check, first: "
        + _times(
            lambda turn: authenticator.authenticate({"authorization": f"Bearer {fresh[turn]}"}), turns // 4
        )
    )


def _decide(exchange: wiring.Exchange, askers: Mapping[str, _Asker], turns: int) -> None:
    """Time the whole decision in this process, with the facts that the database has."""
    policy = exchange.access
    access = Access(policy, exchange.search)
    for name, asker in askers.items():
        with exchange.database.reading(requester=asker.requester) as reading:

            def may_read(number: int) -> None:
                attempt = Attempt("read", "Observation", f"p{number % _PATIENTS}-0")
                access.require(reading, attempt, lambda: False)

            for number in range(8):
                may_read(number)
            print(f"may {name} read this, facts of a patient first asked: {_times(may_read, _PATIENTS)}")
            print(f"may {name} read this, the next of these patients: {_times(may_read, turns)}")
            resource = resources.observation(
                Random(2),  # noqa: S311 - test data
                subject={"reference": "Patient/p1"},
            )

            def may_create(_number: int) -> None:
                attempt = Attempt("create", "Observation", "o", resource)  # noqa: B023
                access.decide(reading, attempt)

            print(f"may {name} create this: {_times(may_create, turns)}", flush=True)


def _times(call: Callable[[int], object], turns: int) -> str:
    found = []
    began_all = time.process_time()
    for turn in range(turns):
        began = time.perf_counter()
        call(turn)
        found.append((time.perf_counter() - began) * 1e6)
    spent = (time.process_time() - began_all) / turns * 1e6
    found.sort()
    return (
        f"median {found[turns // 2]:.1f} µs, p95 {found[turns * 95 // 100]:.1f} µs,"
        f" our processor {spent:.1f} µs"
    )


def _serve(url: str, folder: str, known: Sequence[str], askers: Mapping[str, _Asker], size: str) -> None:
    with ExitStack() as opened:
        without = opened.enter_context(
            server.serving(url, processes=1, auth="off", audit="off", var_dir=f"{folder}/off", base_url=_BASE)
        )
        with_it = opened.enter_context(
            server.serving(
                url, processes=1, auth="on", audit="on", var_dir=folder, audit_site="bench", base_url=_BASE
            )
        )
        both = ("hospital", "clinician")
        loads: Sequence[tuple[str, int, Make, Sequence[str]]] = (
            ("read by id", 1, lambda seed: _reads(known, seed), both),
            ("read by id", 16, lambda seed: _reads(known, seed), both),
            ("create, read, update, delete: nine types", 16, _hospital_mix, both[:1]),
            ("create, read, update, delete: notes", 16, _clinician_mix, both[1:]),
            ("searches", 8, _searches, both),
        )
        for name, connections, make, names in loads:
            made: dict[str, _Measured] = {state: _Measured() for state in ("without", *names)}
            for _ in range(_ROUNDS[size]):
                for state, measured in made.items():
                    running = without if state == "without" else with_it
                    token = "" if state == "without" else askers[state].token
                    clients = [make(number) for number in range(connections)]
                    measured.run(running, clients, _SECONDS[size], token)
            for state in names:
                print(f"{name}, {connections} connections, {state}: {made['without'].beside(made[state])}")
                for kind in sorted(made[state].milliseconds) if size == "full" else ():
                    print(f"  {kind}: {made['without'].times(kind)} without, {made[state].times(kind)} with")
            print(end="", flush=True)


@dataclass
class _Measured:
    """What the runs of one state measured."""

    rates: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)

    def run(
        self, running: server.Server, clients: Sequence[Callable[[], Client]], seconds: float, token: str
    ) -> None:
        """Load `running` and add what that measured."""
        before = running.cpu_seconds(), server.database_cpu_seconds()
        made: Load = load.run(running.port, clients, seconds, warm_up=0.5, token=token)
        after = running.cpu_seconds(), server.database_cpu_seconds()
        answered = sum(made.statuses.values())
        self.rates.append(made.rate)
        self.ours.append((after[0] - before[0]) / answered * 1e6)
        self.database.append((after[1] - before[1]) / answered * 1e6)
        for kind, values in made.milliseconds.items():
            self.milliseconds.setdefault(kind, []).extend(values)

    def times(self, kind: str = "") -> str:
        """Return p50 and p99 of one kind of request, or of all."""
        values = sorted(
            each for name, listed in self.milliseconds.items() if not kind or name == kind for each in listed
        )
        return f"p50 {values[len(values) // 2]:.2f} p99 {values[len(values) * 99 // 100]:.2f} ms"

    def beside(self, other: "_Measured") -> str:
        """Return this, which is without security, and `other`, which is with it."""
        less, more = statistics.median(self.rates), statistics.median(other.rates)
        mine, its = statistics.median(self.ours), statistics.median(other.ours)
        own, theirs = statistics.median(self.database), statistics.median(other.database)
        return (
            f"{less:,.0f}/s without, {more:,.0f}/s with ({100 * (more / less - 1):+.0f} %);"
            f" {self.times()} and {other.times()}; processor, server {mine:,.0f} and {its:,.0f} µs,"
            f" PostgreSQL {own:,.0f} and {theirs:,.0f} µs"
            f" ({100 * ((its + theirs) / (mine + own) - 1):+.0f} %)"
        )


def _reads(paths: Sequence[str], seed: int) -> Callable[[], Client]:
    """Return a client that reads the whole record of one patient after another, as one who treats does."""
    each = len(paths) // _PATIENTS
    order = list(range(_PATIENTS))
    Random(seed).shuffle(order)  # noqa: S311 - test data

    def client() -> Client:
        for number in cycle(order):
            for path in paths[number * each : (number + 1) * each]:
                yield Request("read", "GET", path)

    return client


def _create(resource: JsonObject) -> Request:
    return Request("create", "POST", f"/fhir/{resource['resourceType']}", dumps(resource), (201,))


def _hospital_mix(seed: int) -> Callable[[], Client]:
    """Return a client that creates, reads, updates and deletes nine types, as a hospital's system does.

    The patient comes first, then the visit: a hospital reads whom it treats.
    """
    random = Random(seed)  # noqa: S311 - test data
    order = (resources.patient, resources.encounter, *(each for each in resources.NINE if each not in _FIRST))

    def client() -> Client:
        while True:
            yield from _round(random, order, "")

    return client


_FIRST: Final = (resources.patient, resources.encounter)


def _clinician_mix(seed: int) -> Callable[[], Client]:
    """Return a client that creates, reads, updates and deletes what clinicians write."""
    random = Random(seed)  # noqa: S311 - test data

    def client() -> Client:
        while True:
            yield from _round(random, _NOTES, f"Patient/p{random.randrange(_PATIENTS)}")

    return client


def _round(random: Random, order: Sequence[Callable[..., JsonObject]], patient: str) -> Client:
    stored: list[tuple[str, JsonObject]] = []
    for make in order:
        resource = make(random)
        for name in ("subject", "patient"):
            if name in resource and patient:
                resource[name] = {"reference": patient}
        if make is resources.encounter:
            resource |= {**_CARE, "period": {"start": "2099-01-01T08:00:00Z"}}
        answer = yield _create(resource)
        stored.append((answer.location, resource))
        if make is resources.patient:
            patient = answer.location.removeprefix("/fhir/")
    for path, _ in stored:
        yield Request("read", "GET", path)
    for path, resource in stored:
        changed = {**resource, "id": path.rpartition("/")[2], "language": "zh-CN"}
        yield Request("update", "PUT", path, dumps(changed))
    # The visit last but one and the patient last, by which the others are found to be readable.
    for path, _ in reversed(stored):
        yield Request("delete", "DELETE", path, expected=(200, 204))


def _searches(seed: int) -> Callable[[], Client]:
    """Return a client that searches in one patient's record, and of all patients' records."""
    random = Random(seed)  # noqa: S311 - test data

    def client() -> Client:
        while True:
            patient = f"Patient/p{random.randrange(_PATIENTS)}"
            for kind, query in (
                ("record", f"Observation?patient={patient}&_count=10"),
                ("record, newest", f"Observation?patient={patient}&_sort=-date&_count=10"),
                ("conditions", f"Condition?patient={patient}&clinical-status=active"),
                ("visits", f"Encounter?patient={patient}&_include=Encounter:patient"),
                ("prescriptions", f"MedicationRequest?subject={patient}"),
                ("whoever", f"Observation?code=http://loinc.org|{random.randrange(700, 900)}-7&_count=10"),
                ("patient", f"Patient?_id={patient[8:]}&_revinclude=Condition:patient"),
            ):
                yield Request(kind, "GET", f"/fhir/{query}")

    return client
