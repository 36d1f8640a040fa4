"""Small secrets that must be read back, encrypted for the database: private keys and TOTP secrets.

They are sealed with the data key of one scope, so that a rotation of the key-encryption key touches no row of
theirs. Each opens under the name only that it was wrapped under.
"""

from typing import Final

from hie.core.crypto.compression import NONE
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.envelope import DataKey, Place, key_id_of, open_envelope, seal
from hie.core.db.database import Database

_VERSION: Final = 1


class SecretBox:
    """Wraps the secrets of `scope`; safe to share between threads."""

    def __init__(self, database: Database, keys: DataKeys, *, scope: str) -> None:
        """Take the parts; no key is read or made until it is needed."""
        self._database = database
        self._keys = keys
        self._scope = scope
        # The few keys of one scope that is never erased: kept, since who asks may hold a transaction.
        self._opened: dict[int, DataKey] = {}
        self._newest: DataKey | None = None

    def wrap(self, secret: bytes, *, name: str) -> bytes:
        """Return `secret` encrypted."""
        key = self._newest
        if key is None:
            with self._database.transaction() as transaction:
                key = self._newest = self._keys.hold(transaction, [self._scope])[self._scope]
        return seal(key, secret, Place(self._scope, name, _VERSION), dictionary=NONE)

    def unwrap(self, wrapped: bytes, *, name: str) -> bytes:
        """Return the secret.

        Raises CiphertextError where another key or name wrapped it, and ConfigurationError where the
        key-encryption key is not there.
        """
        key_id = key_id_of(wrapped)
        key = self._opened.get(key_id)
        if key is None:
            with self._database.reading() as transaction:
                key = self._opened[key_id] = self._keys.of(transaction, [key_id])[key_id]
        return open_envelope(key, wrapped, Place(self._scope, name, _VERSION))
