"""Passwords as argon2id hashes (RFC 9106, https://www.rfc-editor.org/rfc/rfc9106).

Verifying takes the same time whether or not there is an account: without one a hash that nobody knows the
password of is verified.
"""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hie.identity.rules import LONGEST_PASSWORD, normal_password
from hie.identity.secrets import new_secret

# argon2-cffi's defaults are the second recommended option of RFC 9106, 4: t=3, 64 MiB, p=4.
_HASHER = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the hash of `password`, with its parameters and salt in it."""
    return _HASHER.hash(normal_password(password))


def is_password(hashed: str, password: str) -> bool:
    """Return whether `password` has the hash `hashed`; "" is nobody's hash and takes as long."""
    tried = normal_password(password[: LONGEST_PASSWORD + 1])
    try:
        return _HASHER.verify(hashed or _nobodys_hash(), tried) and bool(hashed)
    except (VerificationError, InvalidHashError):
        return False


def prepare() -> None:
    """Make the hash that is verified for unknown accounts, lest the first of them take longer."""
    _nobodys_hash()


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(new_secret())
