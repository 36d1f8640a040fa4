"""Searches of a store of 20,000 (small) or 100,000 (full) Observations and their patients.

Each shape runs in process against the embedded PostgreSQL: parse, plan, SQL, rows and the searchset Bundle as
bytes, in a transaction of its own, values drawn anew each time. "SQL" is the page's statement alone.
"""

import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from fhir_server.definitions.search_parameters import type_number
from fhir_server.index.indexer import Indexer
from fhir_server.search.bundle import searchset
from fhir_server.search.choice import choose
from fhir_server.search.compile import Bounds
from fhir_server.search.densities import Densities
from fhir_server.search.parse import Parser
from fhir_server.search.service import SearchService
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from hie.migrations import upgrade
from tests.fhir_server.search import stored

FOLDER = Path(__file__).resolve().parent.parent.parent / "var" / "bench"
OBSERVATIONS = {"small": 20_000, "full": 100_000}
RUNS = {"small": 300, "full": 500}
# As many Observations a patient as a general hospital has in some years.
PER_PATIENT = 20
CODES = 200
BATCH = 5_000

Query = tuple[str, list[tuple[str, str]]]


def main(size: str = "small") -> None:
    """Print median, 95th percentile and rate of each shape, and what indexing a resource costs."""
    settings = Settings(_env_file=None)
    indexer = Indexer(settings.base_url, settings.zone)
    observations = OBSERVATIONS[size]
    patients = observations // PER_PATIENT
    _print_indexing(indexer)
    with _database() as database:
        began = time.perf_counter()
        _load(database, indexer, patients, observations)
        total = patients + observations
        print(f"{total} resources loaded by COPY in {time.perf_counter() - began:.1f} s")
        service = SearchService(settings)
        parser = Parser(
            indexer,
            base_url=settings.base_url,
            zone=settings.zone,
            page_size=settings.page_size,
            page_size_limit=settings.page_size_limit,
        )
        print(f"  {'milliseconds':<34} {'median':>8} {'p95':>8} {'SQL median':>11}   entries")
        for name, make in _shapes(patients).items():
            _print_shape(name, make, database, service, parser, RUNS[size])


def _observation(number: int, patients: int) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "identifier": [{"system": "http://lab", "value": f"L{number}"}],
        "status": "final" if number % 20 else "preliminary",
        "category": [{"coding": [{"system": "http://category", "code": "laboratory"}]}],
        "code": {
            "coding": [
                {"system": "http://loinc.org", "code": f"c{number % CODES}", "display": "A laboratory test"},
                {"system": "http://hospital/tests", "code": f"t{number % CODES}"},
            ],
            "text": "A laboratory test",
        },
        "subject": {"reference": f"Patient/p{number * 7919 % patients}"},
        "effectiveDateTime": f"20{10 + number % 15}-{number % 12 + 1:02}-{number % 28 + 1:02}T08:00:00+08:00",
        "valueQuantity": {
            "value": number % 5_000 / 10,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
        "referenceRange": [
            {"low": {"value": 3.9, "unit": "mmol/L"}, "high": {"value": 6.1, "unit": "mmol/L"}}
        ],
    }


def _patient(number: int) -> JsonObject:
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": "http://card", "value": f"C{number:08}"}],
        "name": [{"family": "张王李赵陈"[number % 5], "given": [f"{chr(0x4E00 + number % 3000)}明"]}],
        "gender": "male" if number % 2 else "female",
        "birthDate": f"{1940 + number % 80}-{number % 12 + 1:02}-{number % 28 + 1:02}",
    }


def _shapes(patients: int) -> dict[str, Callable[[Random], Query]]:
    def of(resource_type: str, *pairs: tuple[str, Callable[[Random], object]]) -> Callable[[Random], Query]:
        return lambda random: (resource_type, [(name, str(value(random))) for name, value in pairs])

    def patient(random: Random) -> str:
        return f"Patient/p{random.randrange(patients)}"

    def code(random: Random) -> str:
        return f"http://loinc.org|c{random.randrange(CODES)}"

    def number(random: Random) -> str:
        return f"{random.randrange(5_000) / 10}"

    def month(random: Random) -> str:
        return f"20{random.randrange(10, 25)}-{random.randrange(1, 13):02}"

    return {
        "token, code": of("Observation", ("code", code)),
        "token, dense": of("Observation", ("status", lambda _: "final")),
        "identifier": of(
            "Patient", ("identifier", lambda random: f"http://card|C{random.randrange(patients):08}")
        ),
        "reference": of("Observation", ("subject", patient)),
        "reference and token": of("Observation", ("subject", patient), ("code", code)),
        "two dense tokens": of("Observation", ("status", lambda _: "final"), ("code", code)),
        "date, one month": of("Observation", ("date", month)),
        "date, ge (dense)": of("Observation", ("date", lambda random: f"ge{month(random)}")),
        "code and date": of("Observation", ("code", code), ("date", lambda random: f"ge{month(random)}")),
        "string, name prefix": of("Patient", ("name", lambda random: random.choice("张王李赵陈"))),
        "quantity, eq": of(
            "Observation",
            ("value-quantity", lambda random: f"{random.randrange(500)}.5|http://unitsofmeasure.org|mmol/L"),
        ),
        "quantity, gt": of("Observation", ("value-quantity", lambda random: f"gt{random.randrange(500)}")),
        "quantity, gt (sparse)": of("Observation", ("value-quantity", lambda _: "gt499.7")),
        "quantity in another unit": of(
            "Observation",
            (
                "value-quantity",
                lambda random: f"{random.randrange(500) / 1000 + 0.0005}|http://unitsofmeasure.org|mol/L",
            ),
        ),
        "composite, code$gt": of(
            "Observation", ("code-value-quantity", lambda random: f"{code(random)}$gt{random.randrange(500)}")
        ),
        "composite, code$eq (sparse)": of(
            "Observation", ("combo-code-value-quantity", lambda random: f"{code(random)}${number(random)}")
        ),
        "composite in another unit": of(
            "Observation",
            (
                "code-value-quantity",
                lambda random: f"{code(random)}$gt0.4|http://unitsofmeasure.org|mol/L",
            ),
        ),
        "combo-code": of("Observation", ("combo-code", code)),
        "_lastUpdated, lt (sparse)": of("Observation", ("_lastUpdated", lambda _: "lt2024-01-01T01:00:00Z")),
        "_filter, code and status": of(
            "Observation", ("_filter", lambda random: f"code eq {code(random)} and status eq preliminary")
        ),
        "several types, identifier": of(
            "", ("_type", lambda _: "Patient,Observation"), ("identifier", number)
        ),
        "chain, patient.identifier": of(
            "Observation", ("patient.identifier", lambda random: f"C{random.randrange(patients):08}")
        ),
        "_has": of(
            "Patient",
            ("_has:Observation:patient:identifier", lambda random: f"L{random.randrange(patients)}"),
        ),
        "reference, _include subject": of(
            "Observation", ("subject", patient), ("_include", lambda _: "Observation:subject")
        ),
        "identifier, _revinclude": of(
            "Patient",
            ("identifier", lambda random: f"C{random.randrange(patients):08}"),
            ("_revinclude", lambda _: "Observation:subject"),
        ),
        "reference, _sort=-date": of("Observation", ("subject", patient), ("_sort", lambda _: "-date")),
        "token, _sort=-date": of("Observation", ("code", code), ("_sort", lambda _: "-date")),
        "dense, _sort=-date": of("Observation", ("status", lambda _: "final"), ("_sort", lambda _: "-date")),
        "reference, _sort=code": of("Observation", ("subject", patient), ("_sort", lambda _: "code")),
        "token, _total=accurate": of("Observation", ("code", code), ("_total", lambda _: "accurate")),
    }


def _print_shape(
    name: str,
    make: Callable[[Random], Query],
    database: Database,
    service: SearchService,
    parser: Parser,
    runs: int,
) -> None:
    random = Random(name)  # noqa: S311 - test data
    whole: list[float] = []
    statement: list[float] = []
    entries = 0
    for _ in range(runs):
        resource_type, parameters = make(random)
        began = time.perf_counter()
        with database.transaction() as transaction:
            page = service.answer(transaction, resource_type, parameters).page
        searchset(page, resource_type, parameters, "http://127.0.0.1:8000/fhir")
        whole.append((time.perf_counter() - began) * 1000)
        entries += len(page.entries)
    for _ in range(min(runs, 100) if resource_type else 0):
        resource_type, parameters = make(random)
        conditions = parser.parse(resource_type, parameters, datetime.now(UTC)).conditions
        with database.transaction() as transaction:
            chosen = choose(
                transaction.connection,
                type_number(resource_type) or 0,
                conditions,
                Densities(time.monotonic),
            )
            page_statement = chosen.page(Bounds(), 21)
            began = time.perf_counter()
            transaction.connection.execute(page_statement.text, page_statement.params).fetchall()
            statement.append((time.perf_counter() - began) * 1000)
    p95 = statistics.quantiles(whole, n=20)[18]
    print(
        f"  {name:<34} {statistics.median(whole):8.2f} {p95:8.2f} {statistics.median(statement or [0]):11.2f}"
        f"   {entries / runs:.1f}",
        flush=True,
    )


def _print_indexing(indexer: Indexer) -> None:
    samples = []
    resources = [_observation(number, 1000) for number in range(2_000)]
    for _ in range(5):
        began = time.process_time()
        for each in resources:
            indexer.index(each)
        samples.append((time.process_time() - began) / len(resources) * 1e6)
    rows = indexer.index(resources[0])
    count = sum(len(getattr(rows, name)) for name in rows.__slots__)
    print(
        f"indexing an Observation: {min(samples):.1f} to {max(samples):.1f} microseconds of CPU, {count} rows"
    )


def _load(database: Database, indexer: Indexer, patients: int, observations: int) -> None:
    with database.transaction() as transaction:
        for start in range(0, patients, BATCH):
            numbers = range(start, min(start + BATCH, patients))
            stored.put(transaction.connection, indexer, [_patient(number) for number in numbers])
        for start in range(0, observations, BATCH):
            numbers = range(start, min(start + BATCH, observations))
            stored.put(
                transaction.connection, indexer, [_observation(number, patients) for number in numbers]
            )
        stored.analyze(transaction.connection)


class _database:  # noqa: N801 - used as a function
    """A fresh database on the embedded server, dropped afterwards."""

    def __enter__(self) -> Database:
        self._server = embedded.start(FOLDER / "postgres").get_uri(database="postgres")
        self._name = "hie_bench_" + uuid.uuid4().hex
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._name)))
        url = make_url(str(self._server)).set(database=self._name)
        upgrade(url.render_as_string(hide_password=False))
        self._opened = Database.from_url(url.render_as_string(hide_password=False), pool_size=2)
        return self._opened

    def __exit__(self, *_: object) -> None:
        self._opened.close()
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self._name)))


if __name__ == "__main__":
    main()
