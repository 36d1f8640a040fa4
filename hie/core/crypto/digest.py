"""Digests and keyed digests, by name: SHA-256 and SM3.

SHA-256: FIPS 180-4 (https://doi.org/10.6028/NIST.FIPS.180-4). SM3: GB/T 32905-2016, by the OpenSSL that
`cryptography` brings, since Python's may be built without it. HMAC: RFC 2104, with SM3 as in GM/T 0042-2015.
Not here: digests that protect nothing (hash keys of the index, the comparison of contents).
"""

import hashlib
import hmac
from typing import Final, Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

DigestName = Literal["sha256", "sm3"]

DIGEST_BYTES: Final = 32


def hash_of(name: str, data: bytes) -> bytes:
    """Return the digest of `data`, 32 bytes; raises ValueError for a name that is no DigestName."""
    match name:
        case "sha256":
            return hashlib.sha256(data).digest()
        case "sm3":
            made = hashes.Hash(hashes.SM3())
            made.update(data)
            return made.finalize()
        case _:
            raise ValueError(f"{name} is neither sha256 nor sm3")


def mac_of(name: str, key: bytes, data: bytes) -> bytes:
    """Return HMAC of `data` under `key`, 32 bytes; raises ValueError for a name that is no DigestName."""
    match name:
        case "sha256":
            return hmac.digest(key, data, "sha256")
        case "sm3":
            made = HMAC(key, hashes.SM3())
            made.update(data)
            return made.finalize()
        case _:
            raise ValueError(f"{name} is neither sha256 nor sm3")


def is_mac_of(name: str, key: bytes, data: bytes, mac: bytes) -> bool:
    """Say whether `mac` is the HMAC of `data` under `key`; the time it takes tells nothing of it."""
    return hmac.compare_digest(mac_of(name, key, data), mac)
