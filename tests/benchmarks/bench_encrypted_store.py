"""What HIE_ENCRYPTION costs the repository: read, search, update, import and export, off and on.

Three databases with the same resources, off and on with either suite; each round does the same with one
after the other, so that a busy machine slows all alike. Microseconds of CPU time of this process and elapsed,
medians of the rounds and their spread; what PostgreSQL spends stands in the elapsed time only. Without audit
trail and access policy. Alone: ``python -m tests.benchmarks --size small encrypted_store``.
"""

import os
import tempfile
import time
import uuid
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from fhir_server.bulk.ndjson import NdjsonFiles, copy_bodies
from fhir_server.transaction.entry import Operation
from hie import wiring
from hie.core.access import SYSTEM
from hie.core.db import embedded
from hie.core.fhir.json import JsonObject, dumps
from hie.core.settings import Settings
from hie.migrations import upgrade
from tests.benchmarks import resources

_COLUMNS: Final[Mapping[str, dict[str, str]]] = {
    "off": {"encryption": "off"},
    "on, international": {"encryption": "on", "crypto": "international"},
    "on, national": {"encryption": "on", "crypto": "national"},
}
_PATIENTS: Final = 200
_OBSERVATIONS: Final = 9
_ROUNDS: Final = 5
_READS: Final = 1_000
_PAGES: Final = 100
_UPDATES: Final = 150

Work = Callable[[], int]
"""Does a round, and returns how many of what it counts it did."""


def main(size: str = "small") -> None:
    """Print the cost of each kind of work by column, and bytes a stored version."""
    rounds = _ROUNDS * {"small": 1, "full": 5}[size]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        exchanges = {
            name: stack.enter_context(_exchange(folder / name, settings))
            for name, settings in _COLUMNS.items()
        }
        works = {name: _Works(exchange, folder / name) for name, exchange in exchanges.items()}
        for title in ("import", "read by id", "search page of 20", "update", "export"):
            _compare(title, {name: work.of(title) for name, work in works.items()}, rounds)
        print("bytes a version, of table and its TOAST")
        for name, exchange in exchanges.items():
            with exchange.database.reading() as transaction:
                row = transaction.connection.execute(
                    "SELECT pg_table_size('resource') + pg_table_size('resource_history'),"
                    " (SELECT count(*) FROM resource) + (SELECT count(*) FROM resource_history)"
                ).fetchone() or (0, 1)
            print(f"  {name:20} {row[0] / row[1]:6.0f}")


class _Works:
    """The kinds of work on one database."""

    def __init__(self, exchange: wiring.Exchange, folder: Path) -> None:
        self._exchange = exchange
        self._folder = folder
        self._random = Random(1)  # noqa: S311 - resources, not keys
        self._batch = count()
        self._change = count()
        self._imported: list[str] = []

    def of(self, title: str) -> Work:
        return {
            "import": self._import,
            "read by id": self._read,
            "search page of 20": self._search,
            "update": self._update,
            "export": self._export,
        }[title]

    def _import(self) -> int:
        lines = [dumps(each) for each in _record(next(self._batch), self._random)]
        result = self._exchange.imports.own.store(list(enumerate(lines)), requester=SYSTEM)
        if result.created != len(lines):
            raise RuntimeError(f"{result}")
        return len(lines)

    def _read(self) -> int:
        with self._exchange.database.reading() as transaction:
            for number in range(_READS):
                self._exchange.repository.read(transaction, "Observation", f"o0-{number % _PATIENTS}-0")
        return _READS

    def _search(self) -> int:
        parameters = [("code:missing", "false"), ("_count", "20")]
        with self._exchange.database.reading() as transaction:
            for _ in range(_PAGES):
                self._exchange.repository.search(transaction, "Observation", parameters)
        return _PAGES

    def _update(self) -> int:
        for number in range(_UPDATES):
            identity = f"o0-{number % _PATIENTS}-1"
            resource = {
                **resources.observation(Random(next(self._change)), id=identity),  # noqa: S311 - no key
                "subject": {"reference": f"Patient/p0-{number % _PATIENTS}"},
            }
            with self._exchange.database.transaction() as transaction:
                operation = Operation("PUT", type="Observation", id=identity, resource=resource)
                self._exchange.repository.apply_whole(transaction, [operation])
        return _UPDATES

    def _export(self) -> int:
        with self._exchange.database.transaction() as transaction:
            connection = transaction.connection
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = connection.execute("SELECT rid, seq FROM resource WHERE NOT is_deleted").fetchall()
            rids, seqs = (array("q", column) for column in zip(*rows, strict=True))
            with NdjsonFiles(self._folder, "export", limit_bytes=1 << 40) as files:
                return copy_bodies(connection, rids, seqs, files, check=lambda: None)


def _record(batch: int, random: Random) -> Iterator[JsonObject]:
    for number in range(_PATIENTS):
        patient = f"p{batch}-{number}"
        yield resources.patient(random, id=patient)
        for place in range(_OBSERVATIONS):
            made = resources.observation(random, id=f"o{batch}-{number}-{place}")
            yield {**made, "subject": {"reference": f"Patient/{patient}"}}


def _compare(title: str, works: Mapping[str, Work], rounds: int) -> None:
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            cpu, began = time.process_time(), time.perf_counter()
            done = work()
            spent[name].append(
                ((time.process_time() - cpu) / done * 1e6, (time.perf_counter() - began) / done * 1e6)
            )
    print(f"{title}, microseconds each")
    for name, found in spent.items():
        cpus, elapsed = zip(*found, strict=True)
        print(
            f"  {name:20} CPU {median(cpus):8.1f} ({min(cpus):.1f} to {max(cpus):.1f})"
            f"   elapsed {median(elapsed):8.1f} ({min(elapsed):.1f} to {max(elapsed):.1f})",
            flush=True,
        )


@contextmanager
def _exchange(folder: Path, settings: dict[str, str]) -> Iterator[wiring.Exchange]:
    """Open an exchange on a fresh database, with keys in `folder`; the database is dropped in the end."""
    folder.mkdir()
    server = os.environ.get("HIE_TEST_DATABASE_URL") or embedded.url(
        embedded.start(Path("var") / "bench" / "postgres")
    )
    name = f"hie_bench_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    try:
        upgrade(url)
        made = Settings.model_validate(
            {**settings, "audit": "off", "auth": "off", "var_dir": folder, "key_folder": folder / "keys"}
        )
        with wiring.build(made, database_url=url) as exchange:
            yield exchange
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
