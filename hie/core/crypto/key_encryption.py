"""The key-encryption keys: which one is current, its rotation, and the end of an old one.

The database says which key of the provider is the current one, so that all processes change over at once. A
rotation makes a new key current; the data keys are wrapped anew in batches while everything goes on, their
texts stay as they are. An old key that wraps nothing any more may be dropped; with it goes what it ever
wrapped, in backups too: those from before the rotation cannot be read any more.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from hie.core.clock import Clock
from hie.core.crypto import queries
from hie.core.crypto.key_provider import KeyProvider, check_key_id
from hie.core.crypto.wrapped_key import WrappedKey, context_of
from hie.core.db.database import Connected, Database
from hie.core.errors import ConfigurationError, ConflictError

# Any number: two processes that start together must not both name a current key.
_LOCK: Final = 0x6B65_6B00
_BATCH: Final = 1_000


class KeyState(NamedTuple):
    """A key-encryption key, and how many data keys it wraps."""

    id: str
    provider: str
    is_current: bool
    created_at: datetime
    data_keys: int


class KeyEncryption:
    """Wraps data keys by the current key of `provider`; safe to share between threads."""

    def __init__(self, provider: KeyProvider, clock: Clock) -> None:
        """Take the parts; no key is read or made until it is needed."""
        self.provider = provider
        self._clock = clock

    def current(self, transaction: Connected) -> str:
        """Return the id of the current key.

        At the very first the newest key of the provider becomes it, or a new one where it has none.
        """
        connection = transaction.connection
        found = connection.execute(queries.CURRENT).fetchone()
        if found is None:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            found = connection.execute(queries.CURRENT).fetchone()  # another process may have been first
        if found is not None:
            return str(found[0])
        known = self.provider.key_ids()
        return self._make_current(transaction, known[-1] if known else self._new_id())

    def rotate(self, transaction: Connected, key_id: str | None = None) -> str:
        """Make `key_id` the current key, or a new one without it; return its id.

        Raises ConfigurationError where the provider has no such key and can make none.
        """
        connection = transaction.connection
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        return self._make_current(transaction, check_key_id(key_id or self._new_id()))

    def rewrap(self, database: Database, *, batch: int = _BATCH) -> int:
        """Wrap up to `batch` data keys of old keys by the current one, in one transaction; return how many.

        Zero says that the old keys wrap nothing any more. Who writes and reads does not wait.
        """
        with database.transaction() as transaction:
            connection = transaction.connection
            current = self.current(transaction)
            for (old,) in connection.execute(queries.RETIRED).fetchall():
                rows = [
                    WrappedKey.of(row)
                    for row in connection.execute(queries.TO_REWRAP, (old, batch)).fetchall()
                ]
                if rows:
                    wrapped = [self._rewrapped(current, row) for row in rows]
                    connection.execute(queries.REWRAP, (current, [row.id for row in rows], wrapped))
                    return len(rows)
        return 0

    def drop(self, database: Database, key_id: str) -> None:
        """Destroy an old key for good.

        Raises ConflictError while it is the current one or wraps any data key; nothing is destroyed then.
        """
        with database.transaction() as transaction:
            connection = transaction.connection
            row = connection.execute(queries.LOCK_RETIRED, (key_id,)).fetchone()
            if row is None and key_id == self.current(transaction):
                raise ConflictError(f"The key `{key_id}` is the current one; rotate first")
            used = connection.execute(queries.WRAPS_ANY, (key_id,)).fetchone()
            if used is not None and used[0]:
                raise ConflictError(f"The key `{key_id}` still wraps data keys; rewrap them first")
            connection.execute(queries.DELETE, (key_id,))
        # Not before the commit: who was about to wrap by it is refused by the foreign key only then.
        self.provider.destroy(key_id)

    def state(self, transaction: Connected) -> Sequence[KeyState]:
        """Return the keys, oldest first."""
        return [KeyState(*row) for row in transaction.connection.execute(queries.STATE).fetchall()]

    def wrap(self, key_id: str, scope: str, version: int, algorithm: int, secret: bytes) -> bytes:
        """Return a data key wrapped."""
        return self.provider.wrap(key_id, secret, context=context_of(scope, version, algorithm))

    def _rewrapped(self, key_id: str, row: WrappedKey) -> bytes:
        return self.wrap(key_id, row.scope, row.version, row.algorithm, row.secret(self.provider))

    def _make_current(self, transaction: Connected, key_id: str) -> str:
        self.provider.make(key_id)
        self._try(key_id)
        connection = transaction.connection
        connection.execute(queries.RETIRE)
        connection.execute(queries.MAKE_CURRENT, (key_id, self.provider.name, self._clock.now()))
        return key_id

    def _try(self, key_id: str) -> None:
        """Raise ConfigurationError for a provider that does not give back what it took."""
        secret = os.urandom(16)
        wrapped = self.provider.wrap(key_id, secret, context=b"trial")
        if secret in wrapped or self.provider.unwrap(key_id, wrapped, context=b"trial") != secret:
            raise ConfigurationError(f"The provider of keys does not wrap by `{key_id}` as it should")

    def _new_id(self) -> str:
        return f"{self._clock.now():%Y%m%d}-{os.urandom(4).hex()}"
