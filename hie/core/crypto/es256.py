"""ES256: ECDSA on P-256 with SHA-256, by `cryptography`.

FIPS 186-5 (https://doi.org/10.6028/NIST.FIPS.186-5); the name is that of RFC 7518, 3.4.
"""

from functools import cached_property
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hie.core.crypto.signature import PRIVATE_BYTES, SIGNATURE_BYTES

_HALF: Final = SIGNATURE_BYTES // 2
_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())


class Es256Verifier:
    """A public key."""

    def __init__(self, public: bytes) -> None:
        """Take 65 bytes; raises ValueError for what is no point of P-256."""
        self._key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)

    @property
    def public(self) -> bytes:
        """The key, 65 bytes."""
        return self._key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def is_signature(self, signature: bytes, message: bytes) -> bool:
        """Say whether `signature` was made of `message` with the private key of this one."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        r, s = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
        try:
            self._key.verify(encode_dss_signature(r, s), message, _ALGORITHM)
        except InvalidSignature:
            return False
        return True


class Es256Signer:
    """A private key."""

    def __init__(self, private: bytes) -> None:
        """Take 32 bytes; raises ValueError for what is no key."""
        if len(private) != PRIVATE_BYTES:
            raise ValueError(f"A private key of ES256 has {PRIVATE_BYTES} bytes, not {len(private)}")
        self._key = ec.derive_private_key(int.from_bytes(private), ec.SECP256R1())

    @classmethod
    def generate(cls) -> Self:
        """Return a new random key."""
        made = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        return cls(made.to_bytes(PRIVATE_BYTES))

    @property
    def private(self) -> bytes:
        """The key, 32 bytes."""
        return self._key.private_numbers().private_value.to_bytes(PRIVATE_BYTES)

    @cached_property
    def verifier(self) -> Es256Verifier:
        """Its public key."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return Es256Verifier(point)

    def sign(self, message: bytes) -> bytes:
        """Return a signature of `message`, 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, _ALGORITHM))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)
