"""The data keys: one for each scope and version, made when first needed, destroyed for good on erasure.

A scope is what is erased as a whole: a patient (``Patient/1``), or all that is nobody's (``system``). Writers
hold the keys that they seal with until they commit; who destroys a key waits for them, so that nothing is
ever sealed with a key that is gone. Opened keys serve for a minute, then they are asked for again.
"""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from hie.core.clock import Clock
from hie.core.crypto import queries
from hie.core.crypto.aead import Algorithm, new_key
from hie.core.crypto.envelope import DataKey
from hie.core.crypto.key_encryption import KeyEncryption
from hie.core.crypto.wrapped_key import WrappedKey
from hie.core.db.database import Connected
from hie.core.errors import LockError
from hie.core.security_errors import CiphertextError

# A key that was destroyed opens texts that another process still has for as long.
KEPT: Final = timedelta(seconds=60)
# About 1 kB each, with what OpenSSL keeps.
_MOST_KEPT: Final = 20_000
_ATTEMPTS: Final = 3


class DataKeys:
    """The data keys of one process; safe to share between threads."""

    def __init__(self, key_encryption: KeyEncryption, algorithm: Algorithm, clock: Clock) -> None:
        """Take what wraps them, and the cipher of new ones."""
        self.key_encryption = key_encryption
        self.algorithm = algorithm
        self._clock = clock
        self._secrets: dict[str, bytes] = {}
        self._opened: dict[int, tuple[datetime, DataKey]] = {}
        self._lock = threading.Lock()

    def hold(self, transaction: Connected, scopes: Iterable[str]) -> Mapping[str, DataKey]:
        """Return the key to seal with for each of `scopes`, made where there is none.

        None of them can be destroyed before `transaction` ends. One statement where all are there.
        """
        wanted = sorted(set(scopes))
        if not wanted:
            return {}
        for _ in range(_ATTEMPTS):
            rows = [
                WrappedKey.of(row)
                for row in transaction.connection.execute(queries.HOLD, (wanted, int(self.algorithm)))
            ]
            if len(rows) == len(wanted):
                return {row.scope: self._open(row) for row in rows}
            there = {row.scope for row in rows}
            self._make(transaction, [scope for scope in wanted if scope not in there])
        raise LockError(f"The keys of {len(wanted)} scopes are made and destroyed by others all the time")

    def of(self, transaction: Connected, key_ids: Iterable[int]) -> Mapping[int, DataKey]:
        """Return the keys that envelopes name; no statement where all of them are in memory.

        Raises KeyDestroyedError if one was destroyed, and CiphertextError if there never was such a key.
        """
        oldest = self._clock.now() - KEPT
        found: dict[int, DataKey] = {}
        missing: list[int] = []
        for key_id in set(key_ids):
            kept = self._opened.get(key_id)
            if kept is not None and kept[0] > oldest:
                found[key_id] = kept[1]
            else:
                missing.append(key_id)
        if missing:
            for row in transaction.connection.execute(queries.READ, (missing,)):
                found[row[0]] = self._open(WrappedKey.of(row))
            for key_id in missing:
                if key_id not in found:
                    raise CiphertextError(f"There is no data key {key_id}")
        return found

    def secret(self, transaction: Connected, scope: str) -> bytes:
        """Return the first key of `scope` itself, made where there is none: for keyed digests, which last.

        It is kept: such a scope is never erased.
        """
        found = self._secrets.get(scope)
        if found is None:
            row = transaction.connection.execute(queries.FIRST, (scope,)).fetchone()
            if row is None:
                self._make(transaction, [scope])
                row = transaction.connection.execute(queries.FIRST, (scope,)).fetchone()
            if row is None:
                raise LockError(f"The key of `{scope}` is made and destroyed by others all the time")
            found = self._secrets[scope] = WrappedKey.of(row).secret(self.key_encryption.provider)
        return found

    def renew(self, transaction: Connected, scope: str) -> DataKey:
        """Return a new version of the key of `scope`, which seals from now on; older ones still open."""
        self._make(transaction, [scope], anew=True)
        return self.hold(transaction, [scope])[scope]

    def destroy(self, transaction: Connected, scope: str) -> int:
        """Destroy all keys of `scope`, once those who hold them have ended; return how many.

        What they sealed cannot be read any more when `transaction` is committed and, by processes that
        used a key just then, a minute later. Files of the database, its log and backups keep the wrapped
        keys for a while: they are of no use once the key-encryption key is rotated and dropped.
        """
        connection = transaction.connection
        key_ids = [row[0] for row in connection.execute(queries.LOCK_SCOPE, (scope,)).fetchall()]
        if key_ids:
            connection.execute(queries.DESTROY, (self._clock.now(), key_ids))
        with self._lock:
            for key_id in key_ids:
                self._opened.pop(key_id, None)
        return len(key_ids)

    def _make(self, transaction: Connected, scopes: list[str], *, anew: bool = False) -> None:
        """Insert keys for `scopes` that have none, or with `anew` for all of them."""
        connection = transaction.connection
        current = self.key_encryption.current(transaction)
        algorithm = int(self.algorithm)
        versions = connection.execute(queries.NEXT_VERSIONS, (scopes, anew, algorithm)).fetchall()
        wrapped = [
            self.key_encryption.wrap(current, scope, version, algorithm, new_key(self.algorithm))
            for scope, version in versions
        ]
        columns = ([scope for scope, _ in versions], [version for _, version in versions], wrapped)
        connection.execute(queries.INSERT, (algorithm, current, self._clock.now(), *columns))

    def _open(self, row: WrappedKey) -> DataKey:
        now = self._clock.now()
        kept = self._opened.get(row.id)
        if kept is not None and kept[0] > now - KEPT and row.wrapped is not None:
            return kept[1]
        opened = row.open(self.key_encryption.provider)
        with self._lock:
            self._opened.pop(row.id, None)
            self._opened[row.id] = (now, opened)
            while len(self._opened) > _MOST_KEPT:
                del self._opened[next(iter(self._opened))]
        return opened
