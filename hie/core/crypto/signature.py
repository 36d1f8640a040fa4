"""Signatures, by name: ES256 and SM2. What both have in common.

Keys and signatures have one shape for both: a private key is 32 bytes, big-endian; a public key is 65 bytes,
4 ‖ x ‖ y (SEC 1, 2.3.3, https://www.secg.org/sec1-v2.pdf); a signature is 64 bytes, r ‖ s, as RFC 7518
(https://www.rfc-editor.org/rfc/rfc7518#section-3.4) has it for ES256. Not here: the keys of tokens, which
are JSON Web Keys (`hie.identity.keys`).
"""

from typing import Final, Literal, Protocol

SignatureName = Literal["ES256", "SM2"]

PRIVATE_BYTES: Final = 32
PUBLIC_BYTES: Final = 65
SIGNATURE_BYTES: Final = 64


class Verifier(Protocol):
    """A public key."""

    @property
    def public(self) -> bytes:
        """The key, 65 bytes."""
        ...

    def is_signature(self, signature: bytes, message: bytes) -> bool:
        """Say whether `signature` was made of `message` with the private key of this one."""
        ...


class Signer(Protocol):
    """A private key."""

    @property
    def private(self) -> bytes:
        """The key, 32 bytes."""
        ...

    @property
    def verifier(self) -> Verifier:
        """Its public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return a signature of `message`, 64 bytes."""
        ...
