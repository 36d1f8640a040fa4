"""Rotation of key-encryption keys: texts stay as they are, old keys end when they wrap nothing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg.errors import ForeignKeyViolation
from pydantic import SecretStr

from hie.core.crypto.aead import Algorithm
from hie.core.crypto.data_keys import KEPT, DataKeys
from hie.core.crypto.environment_keys import EnvironmentKeys
from hie.core.crypto.key_encryption import KeyEncryption
from hie.core.crypto.local_key import new_text
from hie.core.db.database import Database
from hie.core.errors import ConfigurationError, ConflictError
from tests.hie.core.crypto.hardware import HardwareKeys, Module
from tests.hie.core.crypto.test_data_keys import opened, process, sealed
from tests.hie.identity.conftest import MovableClock


def rotated(database: Database, keys: DataKeys, key_id: str | None = None) -> str:
    """Return the id of the new current key."""
    with database.transaction() as transaction:
        return keys.key_encryption.rotate(transaction, key_id)


def current(database: Database, keys: DataKeys) -> str:
    """Return the id of the current key."""
    with database.transaction() as transaction:
        return keys.key_encryption.current(transaction)


def counts(database: Database, keys: DataKeys) -> dict[str, tuple[bool, int]]:
    """Return of each key-encryption key whether it is current, and how many data keys it wraps."""
    with database.reading() as transaction:
        states = keys.key_encryption.state(transaction)
    return {state.id: (state.is_current, state.data_keys) for state in states}


def test_rotation_leaves_every_text_readable_as_it_is(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    keys = process(tmp_path, clock)
    envelopes = [sealed(database, keys, f"Patient/{number}") for number in range(7)]
    old = current(database, keys)
    new = rotated(database, keys)
    assert counts(database, keys) == {old: (False, 7), new: (True, 0)}
    envelopes.append(sealed(database, keys, "Patient/new"))
    assert [keys.key_encryption.rewrap(database, batch=3) for _ in range(4)] == [3, 3, 1, 0]
    assert counts(database, keys) == {old: (False, 0), new: (True, 8)}
    keys.key_encryption.drop(database, old)
    assert counts(database, keys) == {new: (True, 8)}
    assert [path.stem for path in tmp_path.iterdir()] == [new]
    clock.advance(seconds=KEPT.total_seconds())
    for each in (keys, process(tmp_path, clock)):
        assert {opened(database, each, envelope) for envelope in envelopes} == {b"text"}


def test_key_that_wraps_something_or_is_current_is_not_dropped(database: Database, tmp_path: Path) -> None:
    keys = process(tmp_path, MovableClock())
    envelope = sealed(database, keys, "system")
    old = current(database, keys)
    with pytest.raises(ConflictError, match=f"`{old}` is the current one"):
        keys.key_encryption.drop(database, old)
    rotated(database, keys)
    with pytest.raises(ConflictError, match=f"`{old}` still wraps data keys"):
        keys.key_encryption.drop(database, old)
    assert (tmp_path / f"{old}.key").exists()
    assert opened(database, process(tmp_path, MovableClock()), envelope) == b"text"


def test_other_processes_wrap_by_the_new_key_at_once(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    keys, other = process(tmp_path, clock), process(tmp_path, clock)
    sealed(database, other, "Patient/1")
    new = rotated(database, keys)
    sealed(database, other, "Patient/2")
    assert counts(database, keys)[new] == (True, 1)


def test_writer_cannot_wrap_by_a_key_that_was_dropped_meanwhile(database: Database, tmp_path: Path) -> None:
    keys = process(tmp_path, MovableClock())
    old = current(database, keys)
    rotated(database, keys)
    with pytest.raises(ForeignKeyViolation), database.transaction() as writer:
        assert writer.connection.execute(
            "SELECT id FROM key_encryption_key WHERE id = %s", (old,)
        ).fetchone() == (old,)
        keys.key_encryption.drop(database, old)
        writer.connection.execute(
            "INSERT INTO data_key (scope, version, algorithm, key_encryption_key_id, wrapped, created_at)"
            " VALUES ('late', 1, 1, %s, 'x', now())",
            (old,),
        )


def test_processes_that_start_at_once_agree_on_the_first_key(database: Database, tmp_path: Path) -> None:
    processes = [process(tmp_path, MovableClock()) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        found = set(threads.map(lambda keys: current(database, keys), processes))
    assert len(found) == 1
    assert [path.stem for path in tmp_path.iterdir()] == list(found)


def test_keys_of_the_environment_rotate_to_the_one_that_is_named(database: Database) -> None:
    clock = MovableClock()
    texts = {name: SecretStr(new_text(Algorithm.SM4_GCM)) for name in ("2025", "2026")}
    keys = DataKeys(KeyEncryption(EnvironmentKeys(texts), clock), Algorithm.SM4_GCM, clock)
    envelope = sealed(database, keys, "system")
    assert counts(database, keys) == {"2026": (True, 1)}
    with pytest.raises(ConfigurationError, match="`2027`"):
        rotated(database, keys, "2027")
    with pytest.raises(ConfigurationError, match="HIE_KEY_ENCRYPTION_KEYS"):
        rotated(database, keys)
    assert rotated(database, keys, "2025") == "2025"
    assert keys.key_encryption.rewrap(database) == 1
    assert counts(database, keys) == {"2025": (True, 1), "2026": (False, 0)}
    only = EnvironmentKeys({"2025": texts["2025"]})
    later = DataKeys(KeyEncryption(only, clock), Algorithm.SM4_GCM, clock)
    later.key_encryption.drop(database, "2026")
    assert opened(database, later, envelope) == b"text"


def test_keys_in_hardware_serve_like_the_others(database: Database) -> None:
    module = Module("1234")
    module.login("1234")
    clock = MovableClock()
    keys = DataKeys(KeyEncryption(HardwareKeys(module), clock), Algorithm.AES_256_GCM, clock)
    envelope = sealed(database, keys, "Patient/1")
    old = current(database, keys)
    new = rotated(database, keys)
    assert keys.key_encryption.rewrap(database) == 1
    keys.key_encryption.drop(database, old)
    assert module.labels() == [new]
    clock.advance(seconds=KEPT.total_seconds())
    assert opened(database, keys, envelope) == b"text"


def test_rotation_back_to_an_older_key_is_possible_until_it_is_dropped(
    database: Database, tmp_path: Path
) -> None:
    keys = process(tmp_path, MovableClock())
    first = current(database, keys)
    second = rotated(database, keys)
    assert rotated(database, keys, first) == first
    assert counts(database, keys) == {first: (True, 0), second: (False, 0)}


def test_old_key_and_its_file_do_not_open_what_was_wrapped_anew(database: Database, tmp_path: Path) -> None:
    clock = MovableClock()
    keys = process(tmp_path / "keys", clock)
    envelope = sealed(database, keys, "Patient/1")
    old = current(database, keys)
    copy = (tmp_path / "keys" / f"{old}.key").read_bytes()
    rotated(database, keys)
    keys.key_encryption.rewrap(database)
    keys.key_encryption.drop(database, old)
    thief = tmp_path / "thief"
    thief.mkdir()
    stolen = thief / f"{old}.key"
    stolen.touch(mode=0o600)
    stolen.write_bytes(copy)
    with pytest.raises(ConfigurationError, match="no key-encryption key"):
        opened(database, process(thief, clock), envelope)
