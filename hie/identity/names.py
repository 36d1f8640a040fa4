"""The names of accounts for pages of those who oversee them; `hie.identity.accounts` has everything else."""

from collections.abc import Iterable
from uuid import UUID

from sqlmodel import col, select

from hie.core.db.database import Transaction
from hie.identity.tables import Account


def account_names(transaction: Transaction, accounts: Iterable[str]) -> dict[str, str]:
    """Return "display name (account name)" by account id; who is no account of this server is left out."""
    known: list[UUID] = []
    for each in accounts:
        try:
            known.append(UUID(each))
        except ValueError:
            continue  # of an external provider
    if not known:
        return {}
    rows = transaction.session.exec(select(Account).where(col(Account.id).in_(known)))
    return {
        str(each.id): f"{each.display_name} ({each.name})" if each.display_name else each.name
        for each in rows
    }
