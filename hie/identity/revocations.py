"""Access tokens that end before their time, as the database remembers them and as a process knows them.

A token is signed and says itself until when it is good; what was revoked stands in a short list that every
process reads again once a second, so that a revocation reaches all of them within that time
(https://www.rfc-editor.org/rfc/rfc7009#section-3).
"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from hie.core.clock import Clock
from hie.core.db.database import Database, Transaction

Kind = Literal["token", "grant", "account", "client"]

STALE_AFTER: Final = timedelta(seconds=1)
_LIST: Final = "SELECT kind, subject, before FROM identity_revocation WHERE expires_at > %s"
_ADD: Final = """
INSERT INTO identity_revocation (kind, subject, before, expires_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (kind, subject) DO UPDATE SET before = greatest(identity_revocation.before, EXCLUDED.before),
    expires_at = greatest(identity_revocation.expires_at, EXCLUDED.expires_at)
"""
_END_GRANTS: Final = """
UPDATE identity_grant SET revoked_at = %s WHERE account_id = %s AND revoked_at IS NULL
"""
_FORGET: Final = (
    "DELETE FROM identity_revocation WHERE expires_at < %s",
    "DELETE FROM identity_client_assertion WHERE expires_at < %s",
    "DELETE FROM identity_grant WHERE ends_at < %s",
    "DELETE FROM identity_session WHERE ends_at < %s",
    "DELETE FROM identity_launch_context WHERE expires_at < %s",
    "DELETE FROM identity_sign_in_link WHERE expires_at < %s",
    # a day is longer than any wait
    "DELETE FROM identity_sign_in_failure WHERE last_at < %s - interval '1 day'",
)


def revoke(
    transaction: Transaction, kind: Kind, subject: str, *, now: datetime, token_life: timedelta
) -> None:
    """Let no access token of `subject` be taken that was issued up to now.

    `token_life` is how long the longest of them could still be good.
    """
    transaction.connection.execute(_ADD, (kind, subject, now, now + token_life))


def revoke_grant(transaction: Transaction, grant_id: UUID, *, now: datetime, token_life: timedelta) -> None:
    """End a grant: its code, its refresh tokens and its access tokens."""
    transaction.connection.execute(
        "UPDATE identity_grant SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL", (now, grant_id)
    )
    revoke(transaction, "grant", str(grant_id), now=now, token_life=token_life)


def revoke_account(
    transaction: Transaction, account_id: UUID, *, now: datetime, token_life: timedelta
) -> None:
    """End all that the account granted, and the access tokens that came of it."""
    transaction.connection.execute(_END_GRANTS, (now, account_id))
    revoke(transaction, "account", str(account_id), now=now, token_life=token_life)


def forget_expired(transaction: Transaction, now: datetime) -> None:
    """Delete what no longer says anything: revocations, sessions, grants, assertions past their time."""
    for statement in _FORGET:
        transaction.connection.execute(statement, (now,))


class Revocations:
    """What is revoked, as this process knows it; safe to share between threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take the database, which is asked when first needed."""
        self._database = database
        self._clock = clock
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._before: Mapping[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def is_fresh(self) -> bool:
        """Return whether the list is young enough to be trusted as it is."""
        return self._clock.now() - self._read_at < STALE_AFTER

    def refresh(self) -> None:
        """Read the list again, unless it is fresh."""
        if self.is_fresh():
            return
        with self._lock:
            if self.is_fresh():
                return
            now = self._clock.now()
            with self._database.reading() as reading:
                rows = reading.connection.execute(_LIST, (now,)).fetchall()
            self._before = {(kind, subject): before.timestamp() for kind, subject, before in rows}
            self._read_at = now

    def is_revoked(self, issued_at: float, subjects: tuple[tuple[str, str], ...]) -> bool:
        """Return whether a token that was issued at `issued_at` is, by one of its (kind, subject).

        `issued_at` is in seconds of the epoch.
        """
        before = self._before
        return bool(before) and any(
            (found := before.get(subject)) is not None and issued_at <= found for subject in subjects
        )
