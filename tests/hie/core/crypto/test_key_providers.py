"""What every provider of key-encryption keys must do: files, the environment, hardware."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from hie.core.clock import SystemClock
from hie.core.crypto.aead import Algorithm
from hie.core.crypto.environment_keys import EnvironmentKeys
from hie.core.crypto.file_keys import FileKeys
from hie.core.crypto.key_provider import LARGEST_SECRET_BYTES, KeyProvider
from hie.core.crypto.local_key import new_text
from hie.core.crypto.providers import data_keys, key_provider
from hie.core.errors import ConfigurationError
from hie.core.security_errors import CiphertextError, KeyProviderError
from hie.core.settings import Settings
from tests.hie.core.crypto.hardware import HardwareKeys, Module

Make = Callable[[Path, Algorithm], KeyProvider]


def _files(folder: Path, algorithm: Algorithm) -> KeyProvider:
    made = FileKeys(folder / "keys", algorithm)
    made.make("one")
    made.make("two")
    return made


def _environment(_: Path, algorithm: Algorithm) -> KeyProvider:
    return EnvironmentKeys({name: SecretStr(new_text(algorithm)) for name in ("one", "two")})


def _hardware(_: Path, __: Algorithm) -> KeyProvider:
    module = Module("1234")
    module.login("1234")
    module.generate("one")
    module.generate("two")
    return HardwareKeys(module)


every_provider = pytest.mark.parametrize(
    "make", [_files, _environment, _hardware], ids=["file", "environment", "hardware"]
)
every_cipher = pytest.mark.parametrize("algorithm", list(Algorithm), ids=lambda each: each.label)


@every_provider
@every_cipher
def test_wrapped_secret_opens_with_its_key_and_context_only(
    make: Make, algorithm: Algorithm, tmp_path: Path
) -> None:
    provider = make(tmp_path, algorithm)
    for secret in (b"", b"secret" * 5, bytes(LARGEST_SECRET_BYTES)):
        wrapped = provider.wrap("one", secret, context=b"place")
        assert not secret or secret not in wrapped
        assert provider.unwrap("one", wrapped, context=b"place") == secret
        assert provider.wrap("one", secret, context=b"place") != wrapped
        for key_id, text, context in (
            ("two", wrapped, b"place"),
            ("one", wrapped, b"places"),
            ("one", wrapped[:-1], b"place"),
            ("one", bytes([wrapped[0] ^ 1]) + wrapped[1:], b"place"),
            ("one", wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"place"),
            ("one", b"", b"place"),
        ):
            with pytest.raises(CiphertextError):
                provider.unwrap(key_id, text, context=context)


@every_provider
def test_secret_that_is_too_long_is_refused(make: Make, tmp_path: Path) -> None:
    provider = make(tmp_path, Algorithm.AES_256_GCM)
    with pytest.raises(ValueError, match=r"."):
        provider.wrap("one", bytes(LARGEST_SECRET_BYTES + 1), context=b"")


@every_provider
def test_key_that_is_not_there_is_named(make: Make, tmp_path: Path) -> None:
    provider = make(tmp_path, Algorithm.AES_256_GCM)
    with pytest.raises(ConfigurationError, match="`three`"):
        provider.wrap("three", b"secret", context=b"")
    with pytest.raises(ConfigurationError, match="`three`"):
        provider.unwrap("three", b"\1" + bytes(40), context=b"")


@every_provider
def test_making_a_key_again_keeps_it(make: Make, tmp_path: Path) -> None:
    provider = make(tmp_path, Algorithm.AES_256_GCM)
    wrapped = provider.wrap("one", b"secret", context=b"")
    provider.make("one")
    assert provider.unwrap("one", wrapped, context=b"") == b"secret"
    assert sorted(provider.key_ids()) == ["one", "two"]


@pytest.mark.parametrize("make", [_files, _hardware], ids=["file", "hardware"])
def test_destroyed_key_opens_nothing(make: Make, tmp_path: Path) -> None:
    provider = make(tmp_path, Algorithm.AES_256_GCM)
    wrapped = provider.wrap("one", b"secret", context=b"")
    provider.destroy("one")
    provider.destroy("one")
    assert list(provider.key_ids()) == ["two"]
    with pytest.raises(ConfigurationError, match="`one`"):
        provider.unwrap("one", wrapped, context=b"")
    provider.make("one")
    with pytest.raises(CiphertextError):
        provider.unwrap("one", wrapped, context=b"")


def test_key_files_are_their_owners_only(tmp_path: Path) -> None:
    provider = _files(tmp_path, Algorithm.SM4_GCM)
    for path in (tmp_path / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().startswith("SM4-GCM:")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    (tmp_path / "keys" / "one.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match="0600"):
        provider.wrap("one", b"secret", context=b"")


def test_processes_that_make_the_same_key_at_once_share_it(tmp_path: Path) -> None:
    providers = [FileKeys(tmp_path, Algorithm.AES_256_GCM) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda each: each.make("one"), providers))
    wrapped = providers[0].wrap("one", b"secret", context=b"")
    assert {each.unwrap("one", wrapped, context=b"") for each in providers} == {b"secret"}
    assert [path.name for path in tmp_path.iterdir()] == ["one.key"]


@pytest.mark.parametrize("key_id", ["", "../one", "a/b", ".hidden", "a b", "a" * 65, "密钥", "one\n"])
def test_what_is_no_id_names_no_file(key_id: str, tmp_path: Path) -> None:
    provider = FileKeys(tmp_path / "keys", Algorithm.AES_256_GCM)
    for call in (provider.make, provider.destroy):
        with pytest.raises(ConfigurationError, match="no id of a key"):
            call(key_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AES-256-GCM:",
        "AES-256-GCM:c2hvcnQ=",
        "SM4-GCM:" + "A" * 43 + "=",
        "A" * 43 + "=",
        "AES-256-GCM:\xe9",
    ],
    ids=["empty", "no key", "short", "of the other cipher", "no cipher", "not base64"],
)
def test_text_that_is_no_key_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        EnvironmentKeys({"one": SecretStr(text)})
    assert "`one` in HIE_KEY_ENCRYPTION_KEYS" in str(raised.value)
    secret = text.rpartition(":")[2]
    assert not secret or secret not in str(raised.value)
    path = tmp_path / "one.key"
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"one\.key is no key-encryption key"):
        FileKeys(tmp_path, Algorithm.AES_256_GCM).wrap("one", b"", context=b"")


def test_keys_of_the_environment_are_made_and_destroyed_elsewhere() -> None:
    provider = EnvironmentKeys({"one": SecretStr(new_text(Algorithm.AES_256_GCM))})
    with pytest.raises(ConfigurationError, match="`two` in HIE_KEY_ENCRYPTION_KEYS"):
        provider.make("two")
    with pytest.raises(ConfigurationError, match="`one` out of HIE_KEY_ENCRYPTION_KEYS"):
        provider.destroy("one")
    provider.destroy("two")


def test_hardware_that_is_locked_is_unavailable(tmp_path: Path) -> None:
    provider = _hardware(tmp_path, Algorithm.AES_256_GCM)
    assert isinstance(provider, HardwareKeys)
    provider.module.logout()
    with pytest.raises(KeyProviderError, match="CKR_USER_NOT_LOGGED_IN"):
        provider.wrap("one", b"secret", context=b"")
    with pytest.raises(KeyProviderError, match="CKR_USER_NOT_LOGGED_IN"):
        provider.key_ids()


def test_settings_name_provider_and_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIE_KEY_FOLDER", raising=False)  # where the keys of the run lie
    made = key_provider(Settings(var_dir=tmp_path, crypto="national"))
    assert made.name == "file"
    made.make("one")
    path = tmp_path / "keys" / "encryption" / "one.key"
    assert path.read_text().startswith("SM4-GCM:")
    monkeypatch.setenv("HIE_KEY_PROVIDER", "environment")
    monkeypatch.setenv("HIE_KEY_ENCRYPTION_KEYS", json.dumps({"2026": path.read_text().strip()}))
    settings = Settings(var_dir=tmp_path)
    other = key_provider(settings)
    assert (other.name, list(other.key_ids())) == ("environment", ["2026"])
    assert path.read_text().strip() not in repr(settings)
    assert data_keys(settings, SystemClock()).key_encryption.provider.name == "environment"
