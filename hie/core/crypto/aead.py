"""Authenticated encryption with associated data: AES-256-GCM and SM4-GCM.

GCM: NIST SP 800-38D (https://doi.org/10.6028/NIST.SP.800-38D). SM4: GB/T 32907-2016; SM4-GCM as in RFC 8998
(https://www.rfc-editor.org/rfc/rfc8998). Nonces are 12 random bytes: section 8.3 of SP 800-38D allows 2^32
of them for one key. Not here: which key, and what is bound to a text (`hie.core.crypto.envelope`).
"""

import os
from enum import IntEnum
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hie.core.security_errors import CiphertextError

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class Algorithm(IntEnum):
    """A cipher, by the number that headers and tables keep."""

    AES_256_GCM = 1
    SM4_GCM = 2

    @property
    def label(self) -> str:
        """The name as standards write it."""
        return self.name.replace("_", "-")

    @property
    def key_bytes(self) -> int:
        """The length of its keys."""
        return 32 if self is Algorithm.AES_256_GCM else 16


class Aead(Protocol):
    """A cipher with its key; safe to share between threads."""

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        """Return ciphertext and tag; no nonce may be given twice."""
        ...

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        """Return the plain text; raises CiphertextError if anything is not as it was sealed."""
        ...


def new_key(algorithm: Algorithm) -> bytes:
    """Return a random key."""
    return os.urandom(algorithm.key_bytes)


def new_nonce() -> bytes:
    """Return a random nonce."""
    return os.urandom(NONCE_BYTES)


def aead(algorithm: Algorithm, key: bytes) -> Aead:
    """Return the cipher with `key`; raises ValueError for a key of another length."""
    if len(key) != algorithm.key_bytes:
        raise ValueError(f"A key of {algorithm.label} has {algorithm.key_bytes} bytes, not {len(key)}")
    return _Aes(key) if algorithm is Algorithm.AES_256_GCM else _Sm4(key)


class _Aes:
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        return self._cipher.encrypt(nonce, plain, associated)

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        try:
            return self._cipher.decrypt(nonce, sealed, associated)
        except (InvalidTag, ValueError) as error:
            raise CiphertextError from error


class _Sm4:
    # `cryptography` has no class for SM4 like AESGCM; its general one is made anew for each nonce (13 us).

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.SM4(key)

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        made = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        made.authenticate_additional_data(associated)
        return made.update(plain) + made.finalize() + made.tag

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        text, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
        try:
            made = Cipher(self._algorithm, modes.GCM(nonce, tag)).decryptor()
            made.authenticate_additional_data(associated)
            return made.update(text) + made.finalize()
        except (InvalidTag, ValueError) as error:
            raise CiphertextError from error
