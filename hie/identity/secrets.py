"""Secrets that are random when they are made: codes, tokens, cookies. Only their digests are stored.

With 256 bits from the system's source no salt or slow hash adds anything; passwords, which people choose,
are `hie.identity.passwords`'.
"""

import hashlib
import secrets

_BYTES = 32


def new_secret() -> str:
    """Return 256 random bits in the signs of base64url."""
    return secrets.token_urlsafe(_BYTES)


def digest(secret: str) -> bytes:
    """Return the SHA-256 of `secret`, as it is stored and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
