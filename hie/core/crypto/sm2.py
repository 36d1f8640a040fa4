"""SM2 signatures with SM3, by `gmalg`.

GB/T 32918.2-2016 and the curve of GB/T 32918.5-2017; the signer's identity is ``1234567812345678`` unless
both sides agreed on another (GM/T 0009-2012). `cryptography` has no SM2; gmalg is arithmetic in Python: it is
slow (about a hundred signatures a second) and its time depends on the key, so a private key must not
sign for strangers who can measure that. Where signatures must withstand it, or be certified, an HSM signs.
"""

import secrets
from collections.abc import Callable
from functools import cached_property
from typing import Final, Self

from gmalg import SM2  # type: ignore[import-untyped] # it brings no types

from hie.core.crypto.signature import PRIVATE_BYTES, PUBLIC_BYTES, SIGNATURE_BYTES

DEFAULT_IDENTITY: Final = b"1234567812345678"
# GB/T 32918.5-2017, A.1; a private key d is 1 <= d <= n - 2 (GB/T 32918.1-2016, 6.1).
_ORDER: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_FIELD: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_UNCOMPRESSED: Final = 4
_HALF: Final = SIGNATURE_BYTES // 2


class Sm2Verifier:
    """A public key of a signer with `identity`."""

    def __init__(self, public: bytes, *, identity: bytes = DEFAULT_IDENTITY) -> None:
        """Take 65 bytes; raises ValueError for what is no point of the curve."""
        if len(public) != PUBLIC_BYTES or public[0] != _UNCOMPRESSED:
            raise ValueError(f"A public key of SM2 has {PUBLIC_BYTES} bytes, the first of which is 4")
        x, y = int.from_bytes(public[1 : 1 + _HALF]), int.from_bytes(public[1 + _HALF :])
        if max(x, y) >= _FIELD or not SM2().verify_pk(public):
            raise ValueError("The public key is no point of the curve of SM2")
        self.public = public
        self._key = SM2(uid=identity, pk=public)

    def is_signature(self, signature: bytes, message: bytes) -> bool:
        """Say whether `signature` was made of `message` with the private key of this one."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        return bool(self._key.verify(message, signature[:_HALF], signature[_HALF:]))


class Sm2Signer:
    """A private key of a signer with `identity`."""

    def __init__(
        self,
        private: bytes,
        *,
        identity: bytes = DEFAULT_IDENTITY,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        """Take 32 bytes; raises ValueError for what is no key.

        `random_bits` is where the number k of a signature comes from: who knows one k knows the key.
        """
        if len(private) != PRIVATE_BYTES or not 1 <= int.from_bytes(private) <= _ORDER - 2:
            raise ValueError(f"A private key of SM2 has {PRIVATE_BYTES} bytes and is 1 to n - 2")
        self.private = private
        self._identity = identity
        self._key = SM2(private, identity, rnd_fn=random_bits)

    @classmethod
    def generate(cls) -> Self:
        """Return a new random key."""
        return cls((1 + secrets.randbelow(_ORDER - 2)).to_bytes(PRIVATE_BYTES))

    @cached_property
    def verifier(self) -> Sm2Verifier:
        """Its public key."""
        return Sm2Verifier(SM2().generate_pk(self.private), identity=self._identity)

    def sign(self, message: bytes) -> bytes:
        """Return a signature of `message`, 64 bytes."""
        r, s = self._key.sign(message)
        return bytes(r).rjust(_HALF, b"\0") + bytes(s).rjust(_HALF, b"\0")
