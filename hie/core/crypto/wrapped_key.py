"""A row of `data_key`: a data key as its key-encryption key wrapped it."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from hie.core.crypto.aead import Algorithm, aead
from hie.core.crypto.envelope import DataKey
from hie.core.crypto.key_provider import KeyProvider
from hie.core.security_errors import KeyDestroyedError


class WrappedKey(NamedTuple):
    """A row; the last two are None once the key is destroyed."""

    id: int
    scope: str
    version: int
    algorithm: int
    key_encryption_key_id: str | None
    wrapped: bytes | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return the row as it comes from the database."""
        return cls(*row)

    def secret(self, provider: KeyProvider) -> bytes:
        """Return the key itself; raises KeyDestroyedError, CiphertextError or ConfigurationError."""
        if self.wrapped is None or self.key_encryption_key_id is None:
            raise KeyDestroyedError(f"The key {self.version} of `{self.scope}` was destroyed")
        context = context_of(self.scope, self.version, self.algorithm)
        return provider.unwrap(self.key_encryption_key_id, self.wrapped, context=context)

    def open(self, provider: KeyProvider) -> DataKey:
        """Return the key ready for use; raises what `secret` raises."""
        algorithm = Algorithm(self.algorithm)
        return DataKey(self.id, algorithm, aead(algorithm, self.secret(provider)))


def context_of(scope: str, version: int, algorithm: int) -> bytes:
    """Return what a wrapped data key is bound to, so that no row serves for another."""
    return b"%d:%d:%b" % (version, algorithm, scope.encode())
