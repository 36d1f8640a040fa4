"""Receipts signed with the suite of the settings, kept as they were signed, and checked.

The digest of the receipt's bytes is stored beside the signature over them (SHA-256 and ES256, or SM3 and SM2:
`hie.core.crypto.suite`); private keys stand in the database as envelopes of the data key ``system``.
"""

import hashlib
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from hie.core.clock import Clock
from hie.core.crypto import compression
from hie.core.crypto.data_keys import DataKeys
from hie.core.crypto.digest import hash_of
from hie.core.crypto.envelope import Place, key_id_of, open_envelope, seal
from hie.core.crypto.signature import SignatureName, Signer
from hie.core.crypto.suite import SUITES, SuiteName, new_signer, signer, verifier
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError

_SCOPE: Final = "system"
_COLUMNS: Final[LiteralString] = (
    "r.id, r.consent, r.version, r.patient, r.event, r.made_at, r.body, r.digest_name, r.digest, r.key,"
    " k.algorithm, k.public, r.signature"
)
_FROM: Final[LiteralString] = "FROM rights_receipt r JOIN rights_key k ON k.id = r.key"
# Any number: two workers that start together must not both make a key.
_LOCK: Final = 7_519


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as stored: `body` are the bytes that `digest` and `signature` are of.

    `consent` is the id of the Consent, `version` the one that the receipt is of, `event` what it did.
    """

    id: UUID
    consent: str
    version: int
    patient: str
    event: str
    made_at: datetime
    body: bytes
    digest_name: str
    digest: bytes
    key: str
    algorithm: SignatureName
    public: bytes
    signature: bytes

    @property
    def is_genuine(self) -> bool:
        """Say whether the bytes are those that were signed."""
        return (
            hash_of(self.digest_name, self.body) == self.digest
            and hashlib.sha256(self.public).hexdigest() == self.key
            and verifier(self.algorithm, self.public).is_signature(self.signature, self.body)
        )


class Signing:
    """Signs receipts and finds them; safe to share between threads."""

    def __init__(self, keys: DataKeys, suite: SuiteName, clock: Clock) -> None:
        """Take what seals private keys, and the suite of new signatures."""
        self._keys = keys
        self._suite = SUITES[suite]
        self._clock = clock
        self._signers: dict[str, Signer] = {}
        self._lock = threading.Lock()

    def add(
        self,
        transaction: Transaction,
        identity: UUID,
        *,
        consent: str,
        version: int,
        patient: str,
        event: str,
        body: bytes,
    ) -> None:
        """Sign `body` and store it, unless that version of the Consent has its receipt."""
        key, found = self._signer(transaction)
        transaction.connection.execute(
            "INSERT INTO rights_receipt (id, consent, version, patient, event, made_at, body, digest_name,"
            " digest, key, signature) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (consent, version) DO NOTHING",
            (
                identity,
                consent,
                version,
                patient,
                event,
                self._clock.now(),
                body,
                self._suite.digest,
                hash_of(self._suite.digest, body),
                key,
                found.sign(body),
            ),
        )

    def _signer(self, transaction: Transaction) -> tuple[str, Signer]:
        """Return the newest key of the suite with its id; made where there is none."""
        algorithm = self._suite.signature
        connection = transaction.connection
        newest: LiteralString = (
            "SELECT id, private FROM rights_key WHERE algorithm = %s ORDER BY made_at DESC, id LIMIT 1"
        )
        row = connection.execute(newest, (algorithm,)).fetchone()
        if row is None:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            row = connection.execute(newest, (algorithm,)).fetchone()
        if row is None:
            made = new_signer(algorithm)
            identity = hashlib.sha256(made.verifier.public).hexdigest()
            key = self._keys.hold(transaction, [_SCOPE])[_SCOPE]
            connection.execute(
                "INSERT INTO rights_key (id, algorithm, public, private, made_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                (
                    identity,
                    algorithm,
                    made.verifier.public,
                    seal(key, made.private, _place(identity), dictionary=compression.NONE),
                    self._clock.now(),
                ),
            )
            return identity, made
        identity, private = row
        with self._lock:
            kept = self._signers.get(identity)
        if kept is None:
            key_id = key_id_of(private)
            key = self._keys.of(transaction, [key_id])[key_id]
            kept = signer(algorithm, open_envelope(key, private, _place(identity)))
            with self._lock:
                self._signers[identity] = kept
        return identity, kept


def read_receipt(transaction: Transaction, identity: UUID) -> Receipt:
    """Return one receipt; raises NotFoundError."""
    row = transaction.connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE r.id = %s",
        (identity,),
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no receipt `{identity}`")
    return _receipt(row)


def receipts_of(transaction: Transaction, patient: str, *, limit: int = 100) -> list[Receipt]:
    """Return the receipts of the Patient with the id `patient`, the newest first."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} {_FROM} WHERE r.patient = %s ORDER BY r.made_at DESC, r.id LIMIT %s",
        (patient, limit),
    )
    return [_receipt(row) for row in rows]


def has_receipt(transaction: Transaction, consent: str, version: int) -> bool:
    """Return whether that version of the Consent has its receipt."""
    found = transaction.connection.execute(
        "SELECT FROM rights_receipt WHERE consent = %s AND version = %s", (consent, version)
    )
    return found.fetchone() is not None


def _receipt(row: tuple[Any, ...]) -> Receipt:
    return Receipt(*row)


def _place(identity: str) -> Place:
    return Place(_SCOPE, f"receipt key {identity}", 1)
