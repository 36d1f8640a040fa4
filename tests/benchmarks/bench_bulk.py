"""Bulk data: `$import` of NDJSON and `$export` of all of it, resources a second, as jobs do them.

The file holds patients with an encounter, an order, eight observations and a report each, all with the
references, codes and identifiers that hospitals send (0.8 kB a resource). Import: structural
validation and indexing on, one process a core, the embedded PostgreSQL with fsync on the same cores.
The second import of the file finds everything unchanged. Export: to files, durable. Beside the
figures stand the microseconds of processor time that Python's processes and PostgreSQL's spend for a
resource, which say what a machine of two cores can do, and the most memory of the process that exports.
Alone: ``python -m tests.benchmarks --size small bulk``.
"""

import os
import random
import resource
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from fhir_server.bulk.pool import Batch
from fhir_server.jobs import queue
from fhir_server.jobs.service import Jobs
from hie import wiring
from hie.core.access import SYSTEM
from hie.core.db import embedded
from hie.core.fhir.json import JsonObject, dumps
from hie.core.settings import Settings
from hie.migrations import upgrade
from tests.benchmarks import resources

FOLDER = Path(__file__).resolve().parent.parent.parent / "var" / "bench"
PATIENTS = {"small": 4_000, "full": 80_000}
_RESOURCES = 12


def main(size: str = "small") -> None:
    """Print the figures of an import, of the same again, and of an export."""
    path = file_of(PATIENTS[size])
    server = embedded.start(FOLDER / "postgres")
    url = fresh_database(server.get_uri(database="postgres"))
    folder = FOLDER / "bulk-jobs"
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(job_folder=folder, import_sources=(FOLDER.as_uri() + "/",))
    with wiring.build(settings, database_url=url) as exchange:
        _warm_up(exchange, path)
        print(f"{PATIENTS[size] * _RESOURCES:,} resources, {path.stat().st_size / 1e6:,.0f} MB of NDJSON")
        for name in ("$import of new resources", "$import of the same again"):
            _run(name, exchange, "import", {"input": [{"url": path.as_uri(), "type": None}]})
        with exchange.database.transaction() as transaction:
            transaction.connection.execute("ANALYZE")
        for name, kick_off in (
            ("$export, system", {"level": "system"}),
            ("$export, all patients", {"level": "patient"}),
            ("$export, system, _elements=status", {"level": "system", "elements": {"": ["status"]}}),
        ):
            _run(name, exchange, "export", {**_PLAIN, **kick_off})
    shutil.rmtree(folder, ignore_errors=True)


_PLAIN: JsonObject = {
    "group": None,
    "types": [],
    "since": None,
    "filters": [],
    "elements": {},
    "patients": [],
    "associated": [],
    "ignored": [],
}


def _run(name: str, exchange: wiring.Exchange, kind: str, parameters: JsonObject) -> None:
    """Work one job and print what it took."""
    jobs = Jobs(exchange.settings.base_url, exchange.settings.jobs, exchange.clock)
    with exchange.database.transaction() as transaction:
        accepted = jobs.begin(transaction, kind=kind, request="bench", parameters=parameters)
    own, theirs, began = *_processor_seconds(exchange), time.perf_counter()
    assert exchange.job_runner().work_one()
    seconds = time.perf_counter() - began
    own_after, theirs_after = _processor_seconds(exchange)
    with exchange.database.transaction() as transaction:
        job = jobs.find(transaction, accepted.headers["Content-Location"].rpartition("/")[2])
        assert job.output is not None, (job.state, job.error)
        queue.cancel(transaction, job.id)
    manifest = job.output["manifest"]
    assert manifest["error"] == []
    exchange.job_runner().remove_expired()
    count = sum(entry["count"] for entry in manifest["output"])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name}: {count / seconds:,.0f} resources/s ({count:,} in {seconds:.1f} s); processor"
        f" {1e6 * (own_after - own) / count:.0f} + {1e6 * (theirs_after - theirs) / count:.0f} microseconds"
        f" each; at most {memory:,.0f} MB",
        flush=True,
    )


def _warm_up(exchange: wiring.Exchange, path: Path) -> None:
    """Have every process that imports store the first lines, so that what it compiles is compiled."""
    with path.open("rb") as file:
        lines = list(islice(enumerate(file, start=1), 10 * _RESOURCES))
    list(exchange.imports.store([Batch(lines, SYSTEM, None, None)] * 2 * exchange.settings.import_processes))


def _processor_seconds(exchange: wiring.Exchange) -> tuple[float, float]:
    """Return what this process with its children, and the database's backends, have spent."""
    with exchange.database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchall()
    mine = psutil.Process()
    own = [mine, *mine.children(recursive=True)]
    return _spent(own), _spent([psutil.Process(pid) for (pid,) in rows])


def _spent(processes: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def file_of(patients: int) -> Path:
    """Return the NDJSON file of so many patients, made when it is not there."""
    path = FOLDER / f"bulk-{patients}.ndjson"
    if not path.exists():
        draft = path.with_suffix(".draft")
        draft.parent.mkdir(parents=True, exist_ok=True)
        chance = random.Random(7)  # noqa: S311 - reproducible, not secret
        with draft.open("wb") as file:
            for number in range(patients):
                file.writelines(dumps(each) + b"\n" for each in _resources(number, chance))
        draft.replace(path)
    return path


def _resources(number: int, chance: random.Random) -> Iterator[JsonObject]:
    common: JsonObject = {
        "subject": {"reference": f"Patient/p{number}"},
        "encounter": {"reference": f"Encounter/e{number}"},
    }
    results = [f"o{number}-{place}" for place in range(8)]
    yield resources.patient(chance, **_identified("Patient", f"p{number}"))
    yield resources.encounter(chance, **_identified("Encounter", f"e{number}"), subject=common["subject"])
    yield resources.service_request(chance, **_identified("ServiceRequest", f"s{number}"), **common)
    for each in results:
        yield resources.observation(chance, **_identified("Observation", each), **common)
    yield resources.diagnostic_report(
        chance,
        **_identified("DiagnosticReport", f"d{number}"),
        **common,
        basedOn=[{"reference": f"ServiceRequest/s{number}"}],
        result=[{"reference": f"Observation/{each}"} for each in results],
    )


def _identified(resource_type: str, identity: str) -> JsonObject:
    return {"id": identity, "identifier": [{"system": f"{resources.SID}/{resource_type}", "value": identity}]}


def fresh_database(url: str) -> str:
    name = f"bench_bulk_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        for (old,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'bench_bulk_%'"
        ).fetchall():
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(old)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    target = make_url(url).set(database=name).render_as_string(hide_password=False)
    upgrade(target)
    return target


if __name__ == "__main__":
    main()
