"""The integers that stand for text in the index tables.

One hash for writing and for searching: BLAKE2b (RFC 7693), cut to the column's
width. It is not a secret and not a signature.
"""

from functools import lru_cache
from hashlib import blake2b

# The system of a code that has none (`|code` in a search); `hash32` never returns it.
NO_SYSTEM = 0
# The code or target of a value that has none, such as a CodeableConcept of text only:
# it is not found by any code, and it is not missing either (`:missing`).
NO_CODE = 0


@lru_cache(maxsize=65_536)
def hash64(text: str) -> int:
    """Return the signed 64-bit hash of `text`: a code, an identifier's value, "Patient/1" or a URL."""
    return int.from_bytes(
        blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big", signed=True
    )


@lru_cache(maxsize=8_192)
def hash32(system: str | None) -> int:
    """Return the signed 32-bit hash of a system's URL; NO_SYSTEM when there is none."""
    if not system:
        return NO_SYSTEM
    digest = blake2b(system.encode(errors="surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


@lru_cache(maxsize=16_384)
def param_id(resource_type: str, code: str) -> int:
    """Return the positive 31-bit number of a search parameter: of "Observation.code" for example.

    Rows that answer ``subject:identifier=`` stand under the code
    ``subject:identifier``. The registry's test holds that no two collide.
    """
    digest = blake2b(f"{resource_type}.{code}".encode(), digest_size=4).digest()
    return (int.from_bytes(digest, "big") & 0x7FFF_FFFF) or 1


def reference_key(resource_type: str, resource_id: str) -> int:
    """Return the hash of a resource of this server: `resource.key_hash` and `ix_reference.target_hash`."""
    return hash64(f"{resource_type}/{resource_id}")
