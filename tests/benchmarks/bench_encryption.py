"""What encryption at rest costs: an envelope of each kind of body, the keys, and the room in the database.

Microseconds are CPU time of this process, the median of several rounds and their spread; all variants of one
body run in turn, so that a busy machine slows all of them alike.
"""

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from hie.core.clock import SystemClock
from hie.core.crypto.aead import Algorithm, aead, new_key
from hie.core.crypto.compression import NONE, R4
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.envelope import DataKey, Place, open_envelope, seal
from hie.core.crypto.file_keys import FileKeys
from hie.core.crypto.key_encryption import KeyEncryption
from hie.core.crypto.suite import SUITES
from hie.core.db import embedded
from hie.core.db.database import Database
from hie.core.fhir.json import dumps
from hie.migrations import upgrade
from tests.benchmarks import resources

_KINDS: Final = {
    "Patient": resources.patient,
    "Observation": resources.observation,
    "Encounter": resources.encounter,
    "DiagnosticReport": resources.diagnostic_report,
    "ExplanationOfBenefit": resources.explanation_of_benefit,
}
_VARIANTS: Final = {
    f"{name}, {'compressed' if dictionary else 'as it is'}": (suite.aead, dictionary)
    for name, suite in SUITES.items()
    for dictionary in (R4, NONE)
}
_ROUNDS: Final = 7
_BODIES: Final = 200


def main(size: str) -> None:
    """Print microseconds and bytes an envelope, microseconds a key, and bytes a row."""
    repeat = {"small": 1, "full": 10}[size]
    for kind, make in _KINDS.items():
        random = Random(1)  # noqa: S311 - bodies, not keys
        bodies = [dumps(make(random, id=f"b{number}")) for number in range(_BODIES)]
        _envelopes(kind, bodies, repeat)
    server = os.environ.get("HIE_TEST_DATABASE_URL") or embedded.url(
        embedded.start(Path("var") / "bench" / "postgres")
    )
    name = f"hie_bench_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    try:
        upgrade(url)
        with Database.from_url(url) as database, tempfile.TemporaryDirectory() as folder:
            for suite in SUITES.values():
                _keys(database, Path(folder), suite.aead, 500 * repeat)
            _room(database, 5_000 * repeat)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _envelopes(kind: str, bodies: list[bytes], repeat: int) -> None:
    mean = sum(map(len, bodies)) / len(bodies)
    print(f"{kind}, {mean:.0f} bytes")
    place = Place(kind, "b1", 1)
    keys = {each: DataKey(1, each, aead(each, new_key(each))) for each in Algorithm}
    works: dict[str, Callable[[], object]] = {}
    sizes: dict[str, float] = {}
    for label, (algorithm, dictionary) in _VARIANTS.items():
        key = keys[algorithm]
        made = [seal(key, body, place, dictionary=dictionary) for body in bodies]
        sizes[label] = sum(map(len, made)) / len(made)

        def seal_all(key: DataKey = key, dictionary: int = dictionary) -> None:
            for body in bodies:
                seal(key, body, place, dictionary=dictionary)

        def open_all(key: DataKey = key, made: list[bytes] = made) -> None:
            for envelope in made:
                open_envelope(key, envelope, place)

        works[f"{label}: seal"] = seal_all
        works[f"{label}: open"] = open_all
    found = _in_turn(works, rounds=_ROUNDS * repeat)
    for label, length in sizes.items():
        sealing, opening = (found[f"{label}: {verb}"] for verb in ("seal", "open"))
        print(
            f"  {label:28} {length:6.0f} bytes   seal {_shown(sealing, len(bodies))}"
            f"   open {_shown(opening, len(bodies))}"
        )


def _in_turn(works: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Return CPU seconds of each round of each work, one round of all after the other."""
    found: dict[str, list[float]] = {label: [] for label in works}
    for _ in range(rounds):
        for label, work in works.items():
            began = time.process_time()
            work()
            found[label].append(time.process_time() - began)
    return found


def _shown(seconds: list[float], count: int) -> str:
    each = [second / count * 1e6 for second in seconds]
    return f"{median(each):5.1f} us ({min(each):.1f} to {max(each):.1f})"


def _keys(database: Database, folder: Path, algorithm: Algorithm, count: int) -> None:
    scopes = [f"Patient/{algorithm.label}-{number}" for number in range(count)]
    clock = SystemClock()
    key_encryption = KeyEncryption(FileKeys(folder, algorithm), clock)
    with database.transaction() as transaction:
        key_encryption.rotate(transaction)
    while key_encryption.rewrap(database):
        pass
    warm, cold = (DataKeys(key_encryption, algorithm, clock) for _ in range(2))
    figures: dict[str, float] = {}

    def hold(step: int) -> list[int]:
        with database.transaction() as transaction:
            held = [warm.hold(transaction, scopes[begin : begin + step]) for begin in range(0, count, step)]
        return [key.id for each in held for key in each.values()]

    figures["made, 100 a statement"] = _timed(lambda: hold(100))
    figures["held, one a statement"] = _timed(lambda: hold(1))
    figures["held, 100 a statement"] = _timed(lambda: hold(100))
    ids = hold(100)
    with database.reading() as transaction:
        figures["opened, all in one statement"] = _timed(lambda: cold.of(transaction, ids))
        figures["known"] = _timed(lambda: cold.of(transaction, ids))
    with database.transaction() as transaction:
        key_encryption.rotate(transaction)

    def rewrap() -> None:
        while key_encryption.rewrap(database):
            pass

    figures["wrapped anew"] = _timed(rewrap)
    print(f"data keys of {algorithm.label}, microseconds of elapsed time a key")
    for label, seconds in figures.items():
        print(f"  {label:28} {seconds / count * 1e6:6.1f}")


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _room(database: Database, count: int) -> None:
    """Print bytes a row of bodies as they are stored today, and as envelopes."""
    random = Random(2)  # noqa: S311 - bodies, not keys
    kinds = list(_KINDS.items())
    algorithm = Algorithm.AES_256_GCM
    key = DataKey(1, algorithm, aead(algorithm, new_key(algorithm)))
    bodies = [
        (kinds[number % 4][0], dumps(kinds[number % 4][1](random, id=f"b{number}")))
        for number in range(count)
    ]
    kept: dict[str, tuple[str, list[bytes | str]]] = {
        "text": ("text", [body.decode() for _, body in bodies]),
        "envelope, compressed": ("bytea", [seal(key, body, Place(kind, "b", 1)) for kind, body in bodies]),
        "envelope, as it is": (
            "bytea",
            [seal(key, body, Place(kind, "b", 1), dictionary=NONE) for kind, body in bodies],
        ),
    }
    print(f"bytes a row of {count} bodies (Patient, Observation, Encounter, DiagnosticReport)")
    with database.transaction() as transaction:
        connection = transaction.connection
        for label, (column, values) in kept.items():
            connection.execute(f"CREATE TABLE room (body {column})")
            with connection.cursor().copy("COPY room FROM STDIN") as copy:
                for value in values:
                    copy.write_row((value,))
            row = connection.execute("SELECT pg_total_relation_size('room')").fetchone()
            print(f"  {label:24} {(row[0] if row else 0) / count:6.0f}")
            connection.execute("DROP TABLE room")
