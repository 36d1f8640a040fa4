"""For whom an account may act, as a condition of searches; `hie.identity.accounts` lists them."""

from typing import Final, LiteralString
from uuid import UUID

from hie.core.access import Ids
from hie.core.db.database import Transaction

_WARDS: Final[LiteralString] = (
    "SELECT d.patient_id FROM identity_dependant d WHERE d.account_id = %s::uuid"
    " AND (d.until IS NULL OR d.until > now())"
)


def wards_of(account: str) -> Ids | None:
    """Return the ids of the Patients for whom `account` may act, None where it is none of this server."""
    try:
        UUID(account)
    except ValueError:
        return None
    return Ids(_WARDS, (account,))


def ward_ids(transaction: Transaction, account: str) -> list[str]:
    """Return the ids of the Patients for whom `account` may act now, sorted."""
    wards = wards_of(account)
    if wards is None:
        return []
    rows = transaction.connection.execute(f"{wards.select} ORDER BY 1", wards.params)
    return [row[0] for row in rows]
