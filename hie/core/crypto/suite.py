"""The two suites that ``HIE_CRYPTO`` chooses between, for what is made from now on.

What was made before says by what it was made, and is read under either. Neither is certified (密评, GB/T
39786-2021, asks for certified modules): certified hardware comes in by the key provider and by `Signer`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from hie.core.crypto.aead import Algorithm
from hie.core.crypto.digest import DigestName
from hie.core.crypto.es256 import Es256Signer, Es256Verifier
from hie.core.crypto.signature import SignatureName, Signer, Verifier
from hie.core.crypto.sm2 import Sm2Signer, Sm2Verifier

SuiteName = Literal["international", "national"]


@dataclass(frozen=True, slots=True)
class Suite:
    """What new digests, ciphertexts and signatures are made by."""

    digest: DigestName
    aead: Algorithm
    signature: SignatureName


SUITES: Final[Mapping[SuiteName, Suite]] = MappingProxyType(
    {
        "international": Suite("sha256", Algorithm.AES_256_GCM, "ES256"),
        "national": Suite("sm3", Algorithm.SM4_GCM, "SM2"),
    }
)

_GENERATE: Final[Mapping[SignatureName, Callable[[], Signer]]] = MappingProxyType(
    {"ES256": Es256Signer.generate, "SM2": Sm2Signer.generate}
)
_SIGNERS: Final[Mapping[SignatureName, Callable[[bytes], Signer]]] = MappingProxyType(
    {"ES256": Es256Signer, "SM2": Sm2Signer}
)
_VERIFIERS: Final[Mapping[SignatureName, Callable[[bytes], Verifier]]] = MappingProxyType(
    {"ES256": Es256Verifier, "SM2": Sm2Verifier}
)


def new_signer(name: SignatureName) -> Signer:
    """Return a new private key."""
    return _GENERATE[name]()


def signer(name: SignatureName, private: bytes) -> Signer:
    """Return the private key that `private` is; raises ValueError for what is none."""
    return _SIGNERS[name](private)


def verifier(name: SignatureName, public: bytes) -> Verifier:
    """Return the public key that `public` is; raises ValueError for what is none."""
    return _VERIFIERS[name](public)
