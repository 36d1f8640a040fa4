"""Data keys: one a scope, wrapped, held while something is sealed with them, destroyed for good."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from hie.core.crypto.aead import Algorithm
from hie.core.crypto.data_keys import KEPT, DataKeys
from hie.core.crypto.envelope import Place, key_id_of, open_envelope, seal
from hie.core.crypto.file_keys import FileKeys
from hie.core.crypto.key_encryption import KeyEncryption
from hie.core.crypto.secret_box import SecretBox
from hie.core.db.database import Database
from hie.core.errors import ConfigurationError
from hie.core.security_errors import CiphertextError, KeyDestroyedError
from tests.hie.identity.conftest import MovableClock

PLACE = Place("Patient", "p1", 1)
CIPHERS = list(Algorithm)


def process(folder: Path, clock: MovableClock, algorithm: Algorithm = Algorithm.AES_256_GCM) -> DataKeys:
    """Return one process's view of the keys."""
    return DataKeys(KeyEncryption(FileKeys(folder, algorithm), clock), algorithm, clock)


@pytest.fixture
def clock() -> MovableClock:
    """A clock that tests set."""
    return MovableClock()


def sealed(database: Database, keys: DataKeys, scope: str, text: bytes = b"text") -> bytes:
    """Return an envelope with the key of `scope`."""
    with database.transaction() as transaction:
        return seal(keys.hold(transaction, [scope])[scope], text, PLACE)


def opened(database: Database, keys: DataKeys, envelope: bytes) -> bytes:
    """Return what is in an envelope."""
    with database.reading() as transaction:
        key_id = key_id_of(envelope)
        return open_envelope(keys.of(transaction, [key_id])[key_id], envelope, PLACE)


def rows(database: Database) -> list[tuple[object, ...]]:
    """Return scope, version, algorithm and whether the key is there, oldest first."""
    with database.reading() as transaction:
        return transaction.connection.execute(
            "SELECT scope, version, algorithm, wrapped IS NOT NULL FROM data_key ORDER BY scope, version"
        ).fetchall()


def waits(database: Database) -> None:
    """Return once a statement of another connection waits for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with database.reading() as transaction:
        for _ in range(3_000):
            if transaction.connection.execute(query).fetchone() != (0,):
                return
            time.sleep(0.005)
    raise AssertionError("Nobody waits for a lock")


@pytest.mark.parametrize("algorithm", CIPHERS, ids=lambda each: each.label)
def test_every_scope_has_its_own_key_that_all_processes_open(
    database: Database, tmp_path: Path, clock: MovableClock, algorithm: Algorithm
) -> None:
    one, other = process(tmp_path, clock, algorithm), process(tmp_path, clock, algorithm)
    envelopes = {scope: sealed(database, one, scope) for scope in ("Patient/1", "Patient/2", "system")}
    assert len({key_id_of(envelope) for envelope in envelopes.values()}) == 3
    assert {opened(database, other, envelope) for envelope in envelopes.values()} == {b"text"}
    for scope, envelope in envelopes.items():
        assert key_id_of(sealed(database, other, scope)) == key_id_of(envelope)
    assert rows(database) == [
        (scope, 1, int(algorithm), True) for scope in ("Patient/1", "Patient/2", "system")
    ]


def test_no_key_stands_in_the_database_in_the_clear(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    envelope = sealed(database, process(tmp_path / "one", clock), "system")
    with pytest.raises(ConfigurationError, match="no key-encryption key"):
        opened(database, process(tmp_path / "two", clock), envelope)


def test_processes_that_need_the_first_key_at_once_share_it(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    processes = [process(tmp_path, clock) for _ in range(8)]
    scopes = [f"Patient/{number}" for number in range(20)]

    def held(keys: DataKeys) -> dict[str, int]:
        with database.transaction() as transaction:
            return {scope: key.id for scope, key in keys.hold(transaction, scopes).items()}

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(held, processes))
    assert all(each == found[0] for each in found)
    assert len(rows(database)) == len(scopes)
    assert len(list(tmp_path.iterdir())) == 1


def test_key_that_is_made_in_a_transaction_that_fails_is_none(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys = process(tmp_path, clock)
    with pytest.raises(ZeroDivisionError), database.transaction() as transaction:
        lost = keys.hold(transaction, ["Patient/1"])["Patient/1"]
        raise ZeroDivisionError
    assert rows(database) == []
    assert key_id_of(sealed(database, keys, "Patient/1")) != lost.id


def test_destroyed_key_opens_nothing_and_the_next_writer_gets_another(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys, other = process(tmp_path, clock), process(tmp_path, clock)
    mine, theirs = sealed(database, keys, "Patient/1"), sealed(database, keys, "Patient/2")
    assert opened(database, other, mine) == b"text"
    with database.transaction() as transaction:
        assert keys.destroy(transaction, "Patient/1") == 1
        assert keys.destroy(transaction, "Patient/3") == 0
    with pytest.raises(KeyDestroyedError, match="`Patient/1` was destroyed"):
        opened(database, keys, mine)
    clock.advance(seconds=KEPT.total_seconds())
    with pytest.raises(KeyDestroyedError):
        opened(database, other, mine)
    assert opened(database, other, theirs) == b"text"
    again = sealed(database, other, "Patient/1", b"again")
    assert opened(database, keys, again) == b"again"
    assert rows(database) == [
        ("Patient/1", 1, 1, False),
        ("Patient/1", 2, 1, True),
        ("Patient/2", 1, 1, True),
    ]


def test_destruction_that_is_rolled_back_destroys_nothing(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys = process(tmp_path, clock)
    envelope = sealed(database, keys, "Patient/1")
    with pytest.raises(ZeroDivisionError), database.transaction() as transaction:
        keys.destroy(transaction, "Patient/1")
        raise ZeroDivisionError
    assert opened(database, keys, envelope) == b"text"


def test_destruction_waits_for_those_who_seal_with_the_key(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys, other = process(tmp_path, clock), process(tmp_path, clock)
    sealed(database, keys, "Patient/1")
    ended: list[str] = []

    def destroy() -> None:
        with database.transaction() as transaction:
            other.destroy(transaction, "Patient/1")
            ended.append("destruction")

    with database.transaction() as transaction:
        key = keys.hold(transaction, ["Patient/1"])["Patient/1"]
        thread = threading.Thread(target=destroy)
        thread.start()
        waits(database)
        ended.append("writer")
    thread.join()
    assert ended == ["writer", "destruction"]
    with pytest.raises(KeyDestroyedError), database.reading() as transaction:
        other.of(transaction, [key.id])


def test_writer_who_waited_for_the_destruction_gets_a_new_key(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys, other = process(tmp_path, clock), process(tmp_path, clock)
    old = key_id_of(sealed(database, keys, "Patient/1"))
    made: list[bytes] = []
    thread = threading.Thread(target=lambda: made.append(sealed(database, other, "Patient/1")))
    with database.transaction() as transaction:
        keys.destroy(transaction, "Patient/1")
        thread.start()
        waits(database)
    thread.join()
    assert key_id_of(made[0]) != old
    assert opened(database, keys, made[0]) == b"text"


def test_renewed_key_seals_and_the_old_one_still_opens(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys = process(tmp_path, clock)
    old = sealed(database, keys, "system")
    with database.transaction() as transaction:
        new = keys.renew(transaction, "system")
    assert key_id_of(sealed(database, keys, "system")) == new.id != key_id_of(old)
    assert opened(database, keys, old) == b"text"
    with database.transaction() as transaction:
        assert keys.destroy(transaction, "system") == 2


def test_change_of_suite_seals_by_the_new_cipher_and_opens_both(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    international = process(tmp_path, clock)
    national = process(tmp_path, clock, Algorithm.SM4_GCM)
    before, after = sealed(database, international, "system"), sealed(database, national, "system")
    assert (before[1], after[1]) == (Algorithm.AES_256_GCM, Algorithm.SM4_GCM)
    for keys in (international, national):
        assert [opened(database, keys, each) for each in (before, after)] == [b"text", b"text"]
    assert key_id_of(sealed(database, international, "system")) == key_id_of(before)


def test_wrapped_key_does_not_serve_in_another_row(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys = process(tmp_path, clock)
    mine, theirs = sealed(database, keys, "Patient/1"), sealed(database, keys, "Patient/2")
    with database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE data_key SET wrapped = (SELECT wrapped FROM data_key WHERE id = %s) WHERE id = %s",
            (key_id_of(theirs), key_id_of(mine)),
        )
    with pytest.raises(CiphertextError, match="was not wrapped with it"):
        opened(database, process(tmp_path, clock), mine)


def test_key_that_never_was_is_told_from_one_that_was_destroyed(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    with pytest.raises(CiphertextError, match="no data key 99"), database.reading() as transaction:
        process(tmp_path, clock).of(transaction, [99])


def test_known_keys_cost_no_statement(database: Database, tmp_path: Path, clock: MovableClock) -> None:
    keys = process(tmp_path, clock)
    key_id = key_id_of(sealed(database, keys, "system"))
    with pytest.raises(psycopg.errors.InFailedSqlTransaction), database.transaction() as transaction:
        with pytest.raises(psycopg.errors.DivisionByZero):
            transaction.connection.execute("SELECT 1 / 0")
        assert keys.of(transaction, [key_id])[key_id].id == key_id  # a statement would fail now
        clock.advance(seconds=KEPT.total_seconds())
        keys.of(transaction, [key_id])


def test_secret_opens_under_its_name_and_scope_only(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    keys = process(tmp_path, clock)
    box, again = SecretBox(database, keys, scope="identity"), SecretBox(database, keys, scope="identity")
    wrapped = box.wrap(b"secret", name="one")
    assert b"secret" not in wrapped
    assert again.unwrap(wrapped, name="one") == b"secret"
    for other, name in ((box, "two"), (SecretBox(database, keys, scope="card"), "one")):
        with pytest.raises(CiphertextError):
            other.unwrap(wrapped, name=name)
    with pytest.raises(ConfigurationError):
        SecretBox(database, process(tmp_path / "two", clock), scope="identity").unwrap(wrapped, name="one")
    assert rows(database) == [("identity", 1, 1, True)]
