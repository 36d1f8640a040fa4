"""The statements about emergency access."""

from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from hie.core.access import Ids
from hie.core.db.database import Transaction

_OPENED: Final[LiteralString] = (
    "SELECT b.patient FROM break_glass b WHERE b.account = %s AND b.since <= now() AND b.until > now()"
)


def opened(account: str) -> Ids:
    """Return the Patients whose record `account` has opened in an emergency that lasts."""
    return Ids(_OPENED, (account,))


def open_record(
    transaction: Transaction,
    identity: UUID,
    account: str,
    patient: str,
    *,
    reason_code: str,
    reason: str,
    since: datetime,
    until: datetime,
) -> None:
    """Have `account` reach the record of `patient` from `since` until before `until`."""
    transaction.connection.execute(
        "INSERT INTO break_glass (id, account, patient, reason_code, reason, since, until)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (identity, account, patient, reason_code, reason, since, until),
    )
