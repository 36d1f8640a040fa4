"""The end of the demonstration accounts, where there is no demo city or others can reach the server."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlmodel import col, select

from hie.core.db.database import Transaction
from hie.identity import revocations
from hie.identity.tables import Account, Client

CLIENT: Final = "demo"


def remove_accounts(transaction: Transaction, *, now: datetime, token_life: timedelta) -> int:
    """Delete all demonstration accounts and their client, end their tokens; return how many there were."""
    ids = list(transaction.session.exec(select(Account.id).where(col(Account.is_demonstration))))
    for account_id in ids:
        revocations.revoke_account(transaction, account_id, now=now, token_life=token_life)
    connection = transaction.session.connection()
    if connection.execute(delete(Client).where(col(Client.id) == CLIENT)).rowcount:
        revocations.revoke(transaction, "client", CLIENT, now=now, token_life=token_life)
    connection.execute(delete(Account).where(col(Account.is_demonstration)))
    return len(ids)
