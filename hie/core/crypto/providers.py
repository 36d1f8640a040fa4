"""The provider of keys that the settings name, and the data keys by it."""

from hie.core.clock import Clock
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.environment_keys import EnvironmentKeys
from hie.core.crypto.file_keys import FileKeys
from hie.core.crypto.key_encryption import KeyEncryption
from hie.core.crypto.key_provider import KeyProvider
from hie.core.crypto.suite import SUITES
from hie.core.crypto.text_cipher import TextCipher
from hie.core.settings import Settings


def key_provider(settings: Settings) -> KeyProvider:
    """Return the provider; raises ConfigurationError for keys in the environment that are none."""
    if settings.key_provider == "environment":
        return EnvironmentKeys(settings.key_encryption_keys)
    return FileKeys(settings.keys, SUITES[settings.crypto].aead)


def text_cipher(settings: Settings, keys: DataKeys) -> TextCipher:
    """Return the cipher of stored texts by `keys`, sealing what is new where the settings say so."""
    return TextCipher(keys, is_on=settings.encryption == "on")


def data_keys(settings: Settings, clock: Clock, provider: KeyProvider | None = None) -> DataKeys:
    """Return the data keys, wrapped by `provider` or else by that of the settings."""
    key_encryption = KeyEncryption(provider or key_provider(settings), clock)
    return DataKeys(key_encryption, SUITES[settings.crypto].aead, clock)
