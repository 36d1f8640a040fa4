"""Attempts to sign in at a provider: begun for one browser, taken once when it comes back.

State, nonce and verifier are 256 random bits each (https://www.rfc-editor.org/rfc/rfc9700#section-4.7): the
state finds the attempt, the cookie proves that the same browser began it, the nonce and the verifier bind the
provider's answer to it.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col

from hie.core.db.database import Transaction
from hie.core.security_errors import OutsideIdentityError
from hie.identity.outside.provider import Ticket
from hie.identity.outside.tables import OutsideAttempt, OutsideCode
from hie.identity.secrets import digest, new_secret

_LIFE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that came back: where its browser was going, and whose account is being linked."""

    ticket: Ticket
    back: str
    account_id: UUID | None
    provider: str
    browser: bytes
    expires_at: datetime

    def check(self, provider: str, browser: str, now: datetime) -> None:
        """Raise OutsideIdentityError unless the attempt is of the provider and the browser, and in time."""
        if now >= self.expires_at:
            raise OutsideIdentityError("The attempt to sign in is over")
        if self.provider != provider:
            raise OutsideIdentityError("The attempt to sign in was with another provider")
        if not browser or not hmac.compare_digest(self.browser, digest(browser)):
            raise OutsideIdentityError("The attempt to sign in was begun in another browser")


def begin(
    transaction: Transaction,
    provider: str,
    *,
    redirect_uri: str,
    browser: str,
    back: str,
    account_id: UUID | None,
    now: datetime,
) -> Ticket:
    """Return the ticket of a new attempt of the browser that holds the secret `browser`."""
    forget_expired(transaction, now)
    ticket = Ticket(new_secret(), new_secret(), new_secret(), redirect_uri)
    transaction.session.add(
        OutsideAttempt(
            digest=digest(ticket.state),
            provider=provider,
            browser=digest(browser),
            nonce=ticket.nonce,
            verifier=ticket.verifier,
            back=back,
            account_id=account_id,
            expires_at=now + _LIFE,
        )
    )
    transaction.session.flush()
    return ticket


def take(transaction: Transaction, state: str, *, redirect_uri: str) -> Attempt | None:
    """Return the attempt that `state` names, and end it; None where there is none (any more).

    It must be asked whether it is this browser's (`check`), in words after the transaction: an attempt that
    somebody else came with is used as well.
    """
    row = transaction.connection.execute(
        "DELETE FROM identity_outside_attempt WHERE digest = %s"
        " RETURNING provider, browser, nonce, verifier, back, account_id, expires_at",
        (digest(state),),
    ).fetchone()
    if row is None:
        return None
    provider, browser, nonce, verifier, back, account_id, expires_at = row
    ticket = Ticket(state, nonce, verifier, redirect_uri)
    return Attempt(ticket, back, account_id, provider, bytes(browser), expires_at)


def forget_expired(transaction: Transaction, now: datetime) -> None:
    """Delete what nobody came back for."""
    connection = transaction.session.connection()
    connection.execute(delete(OutsideAttempt).where(col(OutsideAttempt.expires_at) <= now))
    connection.execute(delete(OutsideCode).where(col(OutsideCode.expires_at) <= now))
