"""A key-encryption key in this process's memory, as files and the environment hold it.

Its text is the algorithm and the key in base64: ``AES-256-GCM:...`` or ``SM4-GCM:...``. A wrapped secret is
the algorithm's number, the nonce, and ciphertext with tag.
"""

import binascii
from base64 import b64decode, b64encode
from typing import Final, Self

from hie.core.crypto.aead import NONCE_BYTES, Algorithm, aead, new_key, new_nonce
from hie.core.crypto.key_provider import LARGEST_SECRET_BYTES
from hie.core.errors import ConfigurationError
from hie.core.security_errors import CiphertextError

_BY_LABEL: Final = {algorithm.label: algorithm for algorithm in Algorithm}
# Keeps what a key-encryption key does apart from everything else that a key may be used for by mistake.
_PURPOSE: Final = b"hie key encryption 1"


class LocalKey:
    """One key-encryption key; safe to share between threads."""

    def __init__(self, key_id: str, algorithm: Algorithm, key: bytes) -> None:
        """Take the key and its id."""
        self._id = key_id
        self._algorithm = algorithm
        self._cipher = aead(algorithm, key)

    @classmethod
    def read(cls, key_id: str, text: str, *, where: str) -> Self:
        """Return the key that `text`, which stands `where`, is; raises ConfigurationError for none."""
        label, _, encoded = text.strip().partition(":")
        algorithm = _BY_LABEL.get(label)
        try:
            key = b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if algorithm is None or len(key) != algorithm.key_bytes:
            # Nothing of the text is repeated: it may well be a key with a slip in it.
            raise ConfigurationError(
                f"{where} is no key-encryption key: AES-256-GCM: or SM4-GCM:, then 32 or 16 bytes in base64"
            )
        return cls(key_id, algorithm, key)

    def wrap(self, secret: bytes, *, context: bytes) -> bytes:
        """Return `secret` encrypted, bound to `context`."""
        if len(secret) > LARGEST_SECRET_BYTES:
            raise ValueError(f"A secret to wrap has at most {LARGEST_SECRET_BYTES} bytes, not {len(secret)}")
        nonce = new_nonce()
        return bytes([self._algorithm]) + nonce + self._cipher.seal(nonce, secret, self._bound(context))

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return the secret; raises CiphertextError where another key or context wrapped it."""
        if wrapped[:1] != bytes([self._algorithm]):
            raise CiphertextError(f"What the key `{self._id}` should open was not wrapped with it")
        nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
        try:
            return self._cipher.open(nonce, sealed, self._bound(context))
        except CiphertextError as error:
            raise CiphertextError(f"What the key `{self._id}` should open was not wrapped with it") from error

    def _bound(self, context: bytes) -> bytes:
        return b"\0".join((_PURPOSE, self._id.encode(), context))


def new_text(algorithm: Algorithm) -> str:
    """Return the text of a new random key."""
    return f"{algorithm.label}:{b64encode(new_key(algorithm)).decode()}"
