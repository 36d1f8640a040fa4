"""For whom an account may act, as a condition of searches; `hie.identity.accounts` lists them."""

from typing import Final, LiteralString
from uuid import UUID

from hie.core.access import Ids

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
