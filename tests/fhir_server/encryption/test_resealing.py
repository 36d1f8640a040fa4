"""Encryption is switched on, off, and to another suite while a store is in use; a crash loses nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fhir_server.bulk import resealing
from fhir_server.jobs import queue
from fhir_server.jobs.job import Step, Work
from fhir_server.jobs.service import Jobs
from hie import wiring
from hie.core.crypto.aead import Algorithm
from hie.core.crypto.text_cipher import SEALED
from hie.core.db.database import Transaction
from hl7_gateway import journal
from tests.fhir_server.encryption.conftest import observation, patient, put, settings_of
from tests.hl7_gateway.transport.test_journal import FAILED, STORED


@contextmanager
def process(
    url: str, folder: Path, encryption: str, crypto: str = "international"
) -> Iterator[wiring.Exchange]:
    """Run a process with settings of its own."""
    settings = settings_of(folder, encryption=encryption, crypto=crypto)
    with wiring.build(settings, database_url=url) as made:
        yield made


def fill(exchange: wiring.Exchange) -> None:
    """Store some versions and messages."""
    put(exchange, patient("a", "One"), patient("b", "Two"))
    put(exchange, patient("a", "Three"), observation("o", "a"), observation("both", "a", "b"))
    failed = replace(
        FAILED, identity=journal.identify(b"failed", "HIS|H1", "2"), raw=b"failed", report={"notes": ["n"]}
    )
    with exchange.database.transaction() as transaction:
        journal.write(
            transaction, [replace(STORED, patients=("a",), resources=("Patient/a/_history/1",)), failed]
        )


def run(exchange: wiring.Exchange) -> str:
    """Work one such job to its end, and return what it says."""
    with exchange.database.transaction() as transaction:
        Jobs("http://hie.example", exchange.settings.jobs, exchange.clock).begin(
            transaction, kind=resealing.KIND, request="hie encryption apply", parameters={}
        )
    assert exchange.job_runner().work_one()
    with exchange.database.reading() as transaction:
        state, progress = transaction.connection.execute(
            "SELECT state, progress FROM job ORDER BY created_at DESC LIMIT 1"
        ).fetchone() or ("", "")
    assert state == "done"
    return str(progress)


def ciphers(exchange: wiring.Exchange) -> dict[str, set[int | None]]:
    """Return the ciphers of all stored texts by table; None stands for plain."""
    found: dict[str, set[int | None]] = {}
    with exchange.database.reading() as transaction:
        for table, column in (
            ("resource", "body"),
            ("resource_history", "body"),
            ("journal", "raw"),
            ("journal", "details"),
        ):
            rows = transaction.connection.execute(
                f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608 - our columns
            ).fetchall()
            found[f"{table}.{column}"] = {text[1] if text.startswith(SEALED) else None for (text,) in rows}
    return found


def texts(exchange: wiring.Exchange) -> list[bytes | None]:
    """Return all versions of all resources, and their keys' scopes."""
    with exchange.database.reading() as transaction:
        return [
            entry.resource.body
            for kind, identity in (("Patient", "a"), ("Patient", "b"), ("Observation", "o"))
            for entry in exchange.repository.history(transaction, kind, identity, count=9).entries
        ]


AES, SM4 = int(Algorithm.AES_256_GCM), int(Algorithm.SM4_GCM)


def test_what_is_stored_becomes_what_the_settings_say(database_url: str, tmp_path: Path) -> None:
    with process(database_url, tmp_path, "off") as plain:
        fill(plain)
        before = texts(plain)
        with plain.database.reading() as transaction:
            journal_before = transaction.connection.execute(
                "SELECT raw, error, report FROM journal ORDER BY id"
            ).fetchall()
    with process(database_url, tmp_path, "on") as sealing:
        assert run(sealing) == "7 looked at, 7 changed"
        assert ciphers(sealing) == {
            "resource.body": {AES},
            "resource_history.body": {AES},
            "journal.raw": {AES},
            "journal.details": {AES},
        }
        assert texts(sealing) == before
        with sealing.database.reading() as transaction:
            scopes = transaction.connection.execute(
                "SELECT scope FROM data_key WHERE scope LIKE 'Patient/%%' OR scope = 'system' ORDER BY 1"
            ).fetchall()
        assert scopes == [("Patient/a",), ("Patient/b",), ("system",)]
        assert run(sealing) == "7 looked at, 0 changed"
    with process(database_url, tmp_path, "on", "national") as national:
        assert run(national) == "7 looked at, 7 changed"
        assert ciphers(national)["resource.body"] == ciphers(national)["journal.raw"] == {SM4}
        assert texts(national) == before
    with process(database_url, tmp_path, "off") as plain:
        assert run(plain) == "7 looked at, 7 changed"
        assert ciphers(plain)["resource.body"] == ciphers(plain)["resource_history.body"] == {None}
        assert texts(plain) == before
        with plain.database.reading() as transaction:
            assert (
                transaction.connection.execute(
                    "SELECT raw, error, report FROM journal ORDER BY id"
                ).fetchall()
                == journal_before
            )


def test_new_version_of_a_key_is_taken_up_and_a_destroyed_one_left(database_url: str, tmp_path: Path) -> None:
    with process(database_url, tmp_path, "on") as sealing:
        fill(sealing)
        with sealing.database.transaction() as transaction:
            sealing.keys.renew(transaction, "Patient/a")
            sealing.keys.destroy(transaction, "Patient/b")
        # Two versions of the Patient, its Observation, and its message.
        assert run(sealing) == "7 looked at, 4 changed"
        with sealing.database.reading() as transaction:
            found = sealing.repository.read(transaction, "Patient", "a")
    assert b"Three" in (found.body or b"")


def test_job_whose_worker_died_goes_on_where_it_was(database_url: str, tmp_path: Path) -> None:
    with process(database_url, tmp_path, "off") as plain:
        fill(plain)
        before = texts(plain)
    with process(database_url, tmp_path, "on") as sealing:

        def die(_: Transaction, place: list[int], count: int) -> tuple[int, int, list[int] | None]:
            raise RuntimeError(f"died at {place} of {count}")

        with sealing.database.transaction() as transaction:
            Jobs("http://hie.example", tmp_path, sealing.clock).begin(
                transaction, kind=resealing.KIND, request="hie encryption apply", parameters={}
            )
        with sealing.database.transaction() as transaction:
            job = queue.claim(transaction, [resealing.KIND], sealing.job_runner()._lease)
        assert job is not None
        assert sealing.database.cipher is not None
        dying = resealing.Reseal(sealing.database.cipher, sealing.search.indexer, {"journal": die}, batch=2)
        work = Work(job, sealing.database, tmp_path, lambda: False)
        # What was done is committed; the cursor that would say so is lost.
        with pytest.raises(RuntimeError, match="died at"):
            dying.step(work)
        assert ciphers(sealing)["resource.body"] == {AES}
        assert ciphers(sealing)["journal.raw"] == {None}
        again: Step = sealing.job_kinds[resealing.KIND].step(work)
        assert again.progress == "7 looked at, 2 changed"
        assert ciphers(sealing)["journal.raw"] == {AES}
        assert texts(sealing) == before


def test_process_that_still_writes_plain_bodies_is_caught_up_with(database_url: str, tmp_path: Path) -> None:
    with process(database_url, tmp_path, "on") as sealing, process(database_url, tmp_path, "off") as plain:
        put(sealing, patient("c", "Sealed"))
        put(plain, patient("c", "Plain"))
        assert ciphers(sealing)["resource.body"] == {None}
        assert run(sealing) == "2 looked at, 1 changed"
        assert ciphers(sealing)["resource.body"] == {AES}
