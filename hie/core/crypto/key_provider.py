"""The port of what holds the key-encryption keys: files, the environment, an HSM or a KMS.

A key-encryption key never leaves its provider: the port encrypts and decrypts small secrets, it hands out no
key. PKCS#11 (C_Encrypt, C_Decrypt with CKM_AES_GCM) and the key services of clouds can do that as well; an
adapter for one of these is a class with these methods. Which key is the current one is not the provider's
business: `hie.core.crypto.key_encryption` keeps that in the database, so that all machines agree.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from hie.core.errors import ConfigurationError

# Longer than any secret of ours: private keys of tokens, TOTP secrets, data keys.
LARGEST_SECRET_BYTES: Final = 4096
# Also the name of a file.
_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyProvider(Protocol):
    """Holds key-encryption keys by id. All methods raise KeyProviderError when it does not answer."""

    @property
    def name(self) -> str:
        """The word that tables and messages know it by."""
        ...

    def key_ids(self) -> Sequence[str]:
        """Return the ids of its keys, oldest first where it knows."""
        ...

    def make(self, key_id: str) -> None:
        """Make the key `key_id`; does nothing if there is one.

        Raises ConfigurationError where keys are made elsewhere.
        """
        ...

    def wrap(self, key_id: str, secret: bytes, *, context: bytes) -> bytes:
        """Return `secret` encrypted under `key_id`, at most 4096 bytes of it, bound to `context`.

        Raises ConfigurationError where there is no such key.
        """
        ...

    def unwrap(self, key_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the secret.

        Raises CiphertextError where another key or context wrapped it, and ConfigurationError where
        there is no such key.
        """
        ...

    def destroy(self, key_id: str) -> None:
        """Destroy the key for good; does nothing if there is none.

        Raises ConfigurationError where keys are destroyed elsewhere.
        """
        ...


def check_key_id(key_id: str) -> str:
    """Return `key_id`; raises ConfigurationError for what cannot be one."""
    if _KEY_ID.fullmatch(key_id) is None:
        raise ConfigurationError(
            f"`{key_id[:80]}` is no id of a key: 1 to 64 letters, digits, dots, hyphens and underscores"
        )
    return key_id
