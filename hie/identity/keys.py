"""The keys that tokens are signed with: made on first use, replaced by age, published as a JWK Set.

ES256 signs access tokens; RS256 signs ID tokens, because OpenID Connect clients must know that one
(https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation). Private keys stand in the database,
wrapped. A key that was replaced verifies until the last token that it can have signed has expired.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from joserfc.jwk import ECKey, Key, RSAKey, import_key
from sqlalchemy import text
from sqlmodel import col, or_, select

from hie.core.clock import Clock
from hie.core.db.database import Database, Transaction
from hie.core.fhir.json import JsonObject
from hie.identity.tables import SigningKey
from hie.identity.wrapping import Wrapper

Algorithm = Literal["ES256", "RS256"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ES256", "RS256")
_RSA_BITS: Final = 2048
# Processes look for keys that others made this often, so a replaced key may sign for as long.
_LOOK_AGAIN: Final = timedelta(seconds=60)
# A token with an unknown key id costs a look into the database, but not more than one a second.
_LOOK_FOR_UNKNOWN: Final = timedelta(seconds=1)
# Any number: two processes that start together must not both make keys.
_LOCK: Final = 7517


@dataclass(frozen=True, slots=True)
class SignatureKey:
    """One key and the only algorithm it is used with; public, or private where it signs."""

    id: str
    algorithm: str
    key: Key


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process knows of the keys, since `at`."""

    at: datetime
    signing: Mapping[str, SignatureKey]
    verifying: Mapping[str, SignatureKey]
    published: tuple[JsonObject, ...]


class KeyRing:
    """The signing keys of this exchange, safe to share between threads."""

    def __init__(
        self,
        database: Database,
        wrapper: Wrapper,
        clock: Clock,
        *,
        longest_age: timedelta,
        token_life: timedelta,
    ) -> None:
        """Take how old a key may get, and how long the tokens live that it signs."""
        self._database = database
        self._wrapper = wrapper
        self._clock = clock
        self._longest_age = longest_age
        # A process that has not looked again yet still signs with a key that was replaced.
        self._kept = token_life + _LOOK_AGAIN
        self._known: _Known | None = None
        self._lock = threading.Lock()

    def signing(self, algorithm: Algorithm) -> SignatureKey:
        """Return the key to sign with; made, or replaced if it is too old."""
        return self._fresh(_LOOK_AGAIN).signing[algorithm]

    def verifying(self, key_id: str) -> SignatureKey | None:
        """Return the public key of that id, None where there is none or it has been dropped."""
        found = self._fresh(_LOOK_AGAIN).verifying.get(key_id)
        return found or self._fresh(_LOOK_FOR_UNKNOWN).verifying.get(key_id)

    def published(self) -> JsonObject:
        """Return the JWK Set (https://www.rfc-editor.org/rfc/rfc7517#section-5)."""
        return {"keys": list(self._fresh(_LOOK_AGAIN).published)}

    def rotate(self) -> list[str]:
        """Replace all keys that sign now; return the ids of the new ones."""
        with self._lock, self._database.transaction() as transaction:
            _lock(transaction)
            now = self._clock.now()
            for row in _rows(transaction, now):
                if row.retired_at is None:
                    self._retire(transaction, row, now)
            made = [self._make(transaction, algorithm, now) for algorithm in ALGORITHMS]
        self._known = None
        return made

    def _fresh(self, age: timedelta) -> _Known:
        """Return what is known, looked up again where that is older than `age`."""
        known = self._known
        now = self._clock.now()
        if known is not None and now - known.at < age:
            return known
        with self._lock:
            known = self._known
            if known is None or now - known.at >= age:
                known = self._known = self._look(now)
            return known

    def _look(self, now: datetime) -> _Known:
        with self._database.transaction() as transaction:
            rows = _rows(transaction, now)
            if self._is_due(rows, now):
                _lock(transaction)
                rows = _rows(transaction, now)  # another process may have been first
                if self._is_due(rows, now):
                    for row in rows:
                        if row.retired_at is None and now - row.created_at >= self._longest_age:
                            self._retire(transaction, row, now)
                    current = {row.algorithm for row in rows if row.retired_at is None}
                    for algorithm in ALGORITHMS:
                        if algorithm not in current:
                            self._make(transaction, algorithm, now)
                    rows = _rows(transaction, now)
        return _Known(
            now,
            {row.algorithm: self._private(row) for row in rows if row.retired_at is None},
            {row.id: SignatureKey(row.id, row.algorithm, import_key(row.public_jwk)) for row in rows},
            tuple(row.public_jwk for row in rows),
        )

    def _is_due(self, rows: list[SigningKey], now: datetime) -> bool:
        young = {
            row.algorithm
            for row in rows
            if row.retired_at is None and now - row.created_at < self._longest_age
        }
        return not young.issuperset(ALGORITHMS)

    def _make(self, transaction: Transaction, algorithm: Algorithm, now: datetime) -> str:
        key: Key = ECKey.generate_key("P-256") if algorithm == "ES256" else RSAKey.generate_key(_RSA_BITS)
        key_id = key.thumbprint()
        public = {**key.as_dict(private=False), "kid": key_id, "use": "sig", "alg": algorithm}
        private = json.dumps(key.as_dict(private=True)).encode()
        transaction.session.add(
            SigningKey(
                id=key_id,
                algorithm=algorithm,
                public_jwk=public,
                private_key=self._wrapper.wrap(private, name=_name(key_id)),
                created_at=now,
            )
        )
        transaction.session.flush()
        return key_id

    def _retire(self, transaction: Transaction, row: SigningKey, now: datetime) -> None:
        row.retired_at = now
        row.dropped_at = now + self._kept
        transaction.session.add(row)
        transaction.session.flush()

    def _private(self, row: SigningKey) -> SignatureKey:
        secret = json.loads(self._wrapper.unwrap(row.private_key, name=_name(row.id)))
        return SignatureKey(row.id, row.algorithm, import_key(secret))


def _rows(transaction: Transaction, now: datetime) -> list[SigningKey]:
    """Return the keys that verify now, the oldest first."""
    statement = (
        select(SigningKey)
        .where(or_(col(SigningKey.dropped_at).is_(None), col(SigningKey.dropped_at) > now))
        .order_by(col(SigningKey.created_at), SigningKey.id)
    )
    return list(transaction.session.exec(statement))


def _lock(transaction: Transaction) -> None:
    transaction.session.connection().execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _name(key_id: str) -> str:
    return f"signing key {key_id}"
