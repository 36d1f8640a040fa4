"""The versioned store without HTTP and without validation: Bundles, creates, updates and reads a second.

One process, one connection, embedded PostgreSQL with fsync on the same cores. Bundles are what a
laboratory's messages become: conditional updates of a patient of 3,000, his visit, an order,
observations and the report. Beside each figure stand the milliseconds of processor time that
this process and the database's backend spent, which say what limits.
Alone: ``python -m tests.benchmarks --size small store``.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

import fhir_server.tables  # noqa: F401 - puts its tables into the metadata
import hie.core.outbox  # noqa: F401 - puts its table into the metadata
from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from fhir_server.service import Repository
from fhir_server.transaction.entry import Operation
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.access import Permissive
from hie.core.clock import SystemClock
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.fhir.json import Json, JsonObject
from hie.core.settings import Settings, ValidationLevel
from tests.benchmarks import resources

FOLDER = Path(__file__).resolve().parent.parent.parent / "var" / "bench"
SECONDS = {"small": 4.0, "full": 20.0}
PATIENTS = 3_000
BATCH = 20
_KNOWN = 200

_SID = "http://hie.example/sid/H1"


def main(size: str = "small") -> None:
    """Print the figures of every kind of write and of reads."""
    server = embedded.start(FOLDER / "postgres")
    with Database.from_url(_fresh_database(server.get_uri(database="postgres")), pool_size=1) as database:
        settings = Settings()
        repository = Repository(
            validator=ResourceValidator(StructureValidator()),
            validation=ValidationLevel.OFF,
            indexer=Indexer(settings.base_url, settings.zone),
            search=SearchService(settings),
            access=Permissive(),
            clock=SystemClock(),
        )
        seconds = SECONDS[size]
        bench = _Bench(database, repository, random.Random(7))  # noqa: S311 - reproducible, not secret
        bench.measure("transact, 20 ORU Bundles of 8 (6 new)", bench.bundles(observations=3), seconds, BATCH)
        bench.measure("transact, 20 Bundles of 10 (8 new)", bench.bundles(observations=5), seconds, BATCH)
        bench.measure("transact, 1 ORU Bundle of 8 (6 new)", bench.bundles(observations=3, batch=1), seconds)
        bench.measure("create Patient", bench.creates(), seconds)
        bench.prepare()
        bench.measure("update Patient", bench.updates(), seconds)
        bench.measure("read Patient", bench.reads(), seconds)


@dataclass
class _Bench:
    database: Database
    repository: Repository
    chance: random.Random
    serial: int = 0

    def measure(
        self, name: str, work: Iterator[Callable[[], None]], seconds: float, per_call: int = 1
    ) -> None:
        """Print how many things a second `work` does; what prepares each call is not counted."""
        with self.database.transaction() as transaction:
            backend = transaction.connection.info.backend_pid
        for _ in range(10):
            next(work)()
        times: list[float] = []
        own = theirs = 0.0
        while sum(times) < seconds:
            do = next(work)
            own_began, theirs_began, began = (
                time.process_time(),
                _processor_seconds(backend),
                time.perf_counter(),
            )
            do()
            times.append(time.perf_counter() - began)
            own += time.process_time() - own_began
            theirs += _processor_seconds(backend) - theirs_began
        count = len(times) * per_call
        milliseconds = sorted(1000 * each for each in times)
        print(
            f"{name}: {count / sum(times):,.0f}/s; a call p50 {median(milliseconds):.2f} ms,"
            f" p99 {quantiles(milliseconds, n=100)[98]:.2f} ms;"
            f" processor {1000 * own / count:.2f} ms here, {1000 * theirs / count:.2f} ms in PostgreSQL each"
        )

    def bundles(self, *, observations: int, batch: int = BATCH) -> Iterator[Callable[[], None]]:
        while True:
            made = [self._oru(observations) for _ in range(batch)]

            def transact(made: list[JsonObject] = made) -> None:
                with self.database.transaction() as transaction:
                    results = self.repository.transact(transaction, made)
                assert all(result.error is None for result in results)

            yield transact

    def creates(self) -> Iterator[Callable[[], None]]:
        while True:
            self.serial += 1
            yield self._apply(Operation("POST", type="Patient", resource=_patient(f"C{self.serial}", 0)))

    def prepare(self) -> None:
        """Create the resources that are updated and read."""
        for number in range(_KNOWN):
            identity = f"u{number}"
            resource = {**_patient(identity, 0), "id": identity}
            self._apply(Operation("PUT", type="Patient", id=identity, resource=resource))()

    def updates(self) -> Iterator[Callable[[], None]]:
        while True:
            self.serial += 1
            identity = f"u{self.chance.randrange(_KNOWN)}"
            resource = {**_patient(identity, self.serial), "id": identity}
            yield self._apply(Operation("PUT", type="Patient", id=identity, resource=resource))

    def reads(self) -> Iterator[Callable[[], None]]:
        while True:
            identity = f"u{self.chance.randrange(_KNOWN)}"

            def read(identity: str = identity) -> None:
                with self.database.transaction() as transaction:
                    self.repository.read(transaction, "Patient", identity)

            yield read

    def _apply(self, operation: Operation) -> Callable[[], None]:
        def apply() -> None:
            with self.database.transaction() as transaction:
                self.repository.apply_one(transaction, operation)

        return apply

    def _oru(self, observations: int) -> JsonObject:
        self.serial += 1
        number, chance = self.serial, self.chance
        patient, lab, visit, order = (_urn(chance) for _ in range(4))
        common: JsonObject = {"subject": {"reference": patient}, "encounter": {"reference": visit}}
        results = [_urn(chance) for _ in range(observations)]
        made = [
            (patient, _patient(f"P{chance.randrange(PATIENTS)}", 0)),
            (lab, _LABORATORY),
            (visit, resources.encounter(chance, **_identified("Encounter", f"V{number}"), **_of(patient))),
            (
                order,
                resources.service_request(chance, **_identified("ServiceRequest", f"S{number}"), **common),
            ),
        ]
        for place, urn in enumerate(results):
            identified = _identified("Observation", f"O{number}-{place}")
            made.append((urn, resources.observation(chance, **identified, **common)))
        report = resources.diagnostic_report(
            chance,
            **_identified("DiagnosticReport", f"D{number}"),
            **common,
            basedOn=[{"reference": order}],
            performer=[{"reference": lab}],
            result=[{"reference": urn} for urn in results],
        )
        entries = [_upsert(urn, resource) for urn, resource in (*made, (_urn(chance), report))]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _urn(chance: random.Random) -> str:
    return f"urn:uuid:{UUID(int=chance.getrandbits(128), version=4)}"


def _identified(resource_type: str, value: str) -> JsonObject:
    return {"identifier": [{"system": f"{_SID}/{resource_type}", "value": value}]}


_LABORATORY = {"resourceType": "Organization", **_identified("Organization", "LAB"), "name": "检验科"}


def _upsert(full_url: str, resource: JsonObject) -> JsonObject:
    identifier = resource["identifier"][0]
    url = f"{resource['resourceType']}?identifier={identifier['system']}|{identifier['value']}"
    return {"fullUrl": full_url, "resource": resource, "request": {"method": "PUT", "url": url}}


def _of(patient: str) -> JsonObject:
    """Return what an Encounter refers to; conditional updates resolve nothing else."""
    return {"subject": {"reference": patient}, "participant": None, "serviceProvider": None}


def _patient(value: str, revision: int) -> JsonObject:
    """Return a Patient that is the same for the same arguments."""
    return resources.patient(
        random.Random(value),  # noqa: S311 - reproducible, not secret
        **_identified("Patient", value),
        telecom=[{"system": "phone", "value": f"000-{revision}", "use": "mobile"}],
        managingOrganization=None,
    )


def _processor_seconds(pid: int) -> float:
    fields: Json = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    return int(fields[0]) / 1e9


def _fresh_database(url: str) -> str:
    name = f"bench_store_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        for (old,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'bench_store_%'"
        ).fetchall():
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(old)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    target = make_url(url).set(database=name)
    engine = create_engine(target.set(drivername="postgresql+psycopg"))
    SQLModel.metadata.create_all(engine)
    engine.dispose()
    return target.render_as_string(hide_password=False)
