"""Signing keys: made once, replaced by age, taken until the last token that they signed has expired."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from hie.core.crypto.aead import Algorithm
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.file_keys import FileKeys
from hie.core.crypto.key_encryption import KeyEncryption
from hie.core.crypto.secret_box import SecretBox
from hie.core.db.database import Database
from hie.core.errors import ConfigurationError
from hie.identity.keys import KeyRing
from tests.hie.identity.conftest import MovableClock


def ring(database: Database, folder: Path, clock: MovableClock) -> KeyRing:
    """Return a process's view of the keys."""
    algorithm = Algorithm.AES_256_GCM
    keys = DataKeys(KeyEncryption(FileKeys(folder, algorithm), clock), algorithm, clock)
    wrapper = SecretBox(database, keys, scope="identity")
    return KeyRing(database, wrapper, clock, longest_age=timedelta(days=90), token_life=timedelta(minutes=15))


def ids(keys: KeyRing) -> list[str]:
    """Return the ids that are published."""
    return [key["kid"] for key in keys.published()["keys"]]


def test_processes_that_start_together_make_one_key_of_each_kind(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    rings = [ring(database, tmp_path, clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda each: each.signing("ES256").id, rings))
    assert len(set(found)) == 1
    assert sorted(key["alg"] for key in rings[0].published()["keys"]) == ["ES256", "RS256"]


def test_published_keys_hold_nothing_private(database: Database, tmp_path: Path) -> None:
    for key in ring(database, tmp_path, MovableClock()).published()["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & set(key)
        assert key["use"] == "sig"


def test_old_key_verifies_until_its_tokens_have_expired(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    keys, other = ring(database, tmp_path, clock), ring(database, tmp_path, clock)
    old = other.signing("ES256").id
    made = keys.rotate()
    assert keys.signing("ES256").id in made
    assert keys.verifying(old) is not None
    assert other.signing("ES256").id == old  # another process has not looked yet
    clock.advance(seconds=60)
    assert other.signing("ES256").id in made
    clock.advance(minutes=14)
    assert keys.verifying(old) is not None
    clock.advance(minutes=3)
    assert keys.verifying(old) is None
    assert sorted(ids(keys)) == sorted(made)


def test_key_is_replaced_when_it_is_too_old(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    keys = ring(database, tmp_path, clock)
    old = keys.signing("ES256").id
    clock.advance(days=89)
    assert keys.signing("ES256").id == old
    clock.advance(days=1)
    assert keys.signing("ES256").id != old
    assert old in ids(keys)
    assert len(ids(keys)) == 4


def test_key_of_another_process_is_found_within_a_second(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    keys, other = ring(database, tmp_path, clock), ring(database, tmp_path, clock)
    other.signing("ES256")
    new = keys.rotate()[0]
    clock.advance(seconds=1)
    assert other.verifying(new) is not None


def test_private_keys_open_with_the_key_file_only(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    ring(database, tmp_path / "one", clock).signing("ES256")
    with pytest.raises(ConfigurationError):
        ring(database, tmp_path / "two", clock).signing("ES256")
    with database.transaction() as transaction:
        rows = transaction.connection.execute("SELECT private_key FROM identity_signing_key").fetchall()
    assert rows
    assert not [row for row in rows if b'"d"' in row[0]]
