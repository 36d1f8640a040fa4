"""What a person granted to applications, to be seen and taken back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import col, select

from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError
from hie.identity import revocations
from hie.identity.tables import Client, Grant


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant and the client that it was made to."""

    grant: Grant
    client: Client


def grants_of(transaction: Transaction, account_id: UUID, now: datetime) -> list[Granted]:
    """Return what the account granted and what still holds, the newest first."""
    statement = (
        select(Grant, Client)
        .join(Client, col(Client.id) == col(Grant.client_id))
        .where(Grant.account_id == account_id, col(Grant.revoked_at).is_(None), col(Grant.ends_at) > now)
        .order_by(col(Grant.created_at).desc())
    )
    return [Granted(grant, client) for grant, client in transaction.session.exec(statement)]


def revoke_own(
    transaction: Transaction, account_id: UUID, grant_id: UUID, *, now: datetime, token_life: timedelta
) -> None:
    """End a grant of the account, with its tokens; raises NotFoundError for one of somebody else."""
    grant = transaction.session.get(Grant, grant_id)
    if grant is None or grant.account_id != account_id:
        raise NotFoundError("There is no such grant")
    revocations.revoke_grant(transaction, grant_id, now=now, token_life=token_life)
