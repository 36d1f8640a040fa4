"""Sessions of the portal: a row in the database, named by a cookie that holds a secret and nothing else.

A session is made anew at every step of signing in, so that a cookie that somebody planted becomes worthless
(session fixation). It ends by itself when it is not used, and in any case after some hours.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete
from sqlmodel import col, select

from hie.core.db.database import Transaction
from hie.identity.secrets import digest, new_secret
from hie.identity.tables import PortalSession

# Writing a row for every page would cost more than the page: the time of last use is this coarse.
_SEEN_AGAIN: Final = timedelta(minutes=1)
# Between password and second factor.
_INCOMPLETE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lives unused, and at most."""

    idle: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that was just made; `secret` is what the cookie holds, and exists nowhere else."""

    secret: str
    row: PortalSession


def begin(
    transaction: Transaction,
    account_id: UUID,
    *,
    methods: Sequence[str],
    is_complete: bool,
    lifetimes: Lifetimes,
    now: datetime,
    provider: str = "",
) -> NewSession:
    """Return a new session of the account, authenticated now by `methods` (codes of RFC 8176).

    `provider` is the one outside that knew the person, if any. A session that is not complete waits for the
    second factor, and not for long.
    """
    secret = new_secret()
    row = PortalSession(
        id=uuid4(),
        digest=digest(secret),
        account_id=account_id,
        is_complete=is_complete,
        methods=list(methods),
        provider=provider,
        form_token=new_secret(),
        authenticated_at=now,
        seen_at=now,
        ends_at=now + (lifetimes.longest if is_complete else _INCOMPLETE),
    )
    transaction.session.add(row)
    transaction.session.flush()
    return NewSession(secret, row)


def find(
    transaction: Transaction, secret: str, *, lifetimes: Lifetimes, now: datetime
) -> PortalSession | None:
    """Return the session that the cookie's `secret` names, None where it has ended; notes that it is used."""
    row = transaction.session.exec(
        select(PortalSession).where(PortalSession.digest == digest(secret))
    ).first()
    if row is None or now >= row.ends_at or now - row.seen_at >= lifetimes.idle:
        return None
    if now - row.seen_at >= _SEEN_AGAIN:
        row.seen_at = now
        transaction.session.add(row)
    return row


def is_alive(transaction: Transaction, session_id: UUID, *, lifetimes: Lifetimes, now: datetime) -> bool:
    """Return whether the session of that id goes on."""
    row = transaction.session.exec(select(PortalSession).where(PortalSession.id == session_id)).first()
    return row is not None and now < row.ends_at and now - row.seen_at < lifetimes.idle


def end(transaction: Transaction, secret: str) -> None:
    """End the session that the cookie's `secret` names."""
    transaction.session.connection().execute(
        delete(PortalSession).where(col(PortalSession.digest) == digest(secret))
    )


def is_form_of(row: PortalSession, form_token: str) -> bool:
    """Return whether a form with that token was made in this session (cross-site request forgery)."""
    return hmac.compare_digest(row.form_token.encode(), form_token.encode("utf-8", "surrogatepass"))
