"""The port of what encrypts secrets that must be read back: private keys and TOTP secrets.

Who has the database alone can sign no token. `hie.core.crypto.secret_box` is what wraps.
"""

from typing import Protocol


class Wrapper(Protocol):
    """Encrypts small secrets. `name` binds a secret to its place: it opens under that name only."""

    def wrap(self, secret: bytes, *, name: str) -> bytes:
        """Return `secret` encrypted."""
        ...

    def unwrap(self, wrapped: bytes, *, name: str) -> bytes:
        """Return the secret.

        Raises CiphertextError where another key or name wrapped it, and ConfigurationError where the key
        that encrypts the keys is not there.
        """
        ...
