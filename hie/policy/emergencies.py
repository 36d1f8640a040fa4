"""The statements about emergency accesses that were opened: listed, ended early, noticed, reviewed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID

from hie.core.db.database import Transaction
from hie.core.errors import ConflictError, NotFoundError

LONGEST_REMARK: Final = 2_000
# The least time that an interval of the table can last.
_INSTANT: Final = timedelta(microseconds=1)
_COLUMNS: Final[LiteralString] = (
    "id, account, patient, reason_code, reason, since, until, noticed_at, ended_at, reviewed_at, reviewed_by,"
    " is_justified, remark"
)


@dataclass(frozen=True, slots=True)
class Emergency:
    """One access; `until` is when it ends or ended, `ended_at` when it was ended early."""

    id: UUID
    account: str
    patient: str
    reason_code: str
    reason: str
    since: datetime
    until: datetime
    noticed_at: datetime | None
    ended_at: datetime | None
    reviewed_at: datetime | None
    reviewed_by: str | None
    is_justified: bool | None
    remark: str | None


def of_account(transaction: Transaction, account: str, *, limit: int = 50) -> list[Emergency]:
    """Return the accesses of `account`, newest first."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM break_glass WHERE account = %s ORDER BY since DESC LIMIT %s",  # noqa: S608 - our columns
        (account, limit),
    )
    return [Emergency(*row) for row in rows]


def to_review(transaction: Transaction, *, limit: int = 200) -> list[Emergency]:
    """Return the accesses that nobody reviewed yet, newest first."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM break_glass WHERE reviewed_at IS NULL ORDER BY since DESC LIMIT %s",  # noqa: S608 - our columns
        (limit,),
    )
    return [Emergency(*row) for row in rows]


def reviewed(transaction: Transaction, *, limit: int = 50) -> list[Emergency]:
    """Return the accesses that were reviewed, the last reviewed first."""
    rows = transaction.connection.execute(
        f"SELECT {_COLUMNS} FROM break_glass WHERE reviewed_at IS NOT NULL"  # noqa: S608 - our columns
        " ORDER BY reviewed_at DESC LIMIT %s",
        (limit,),
    )
    return [Emergency(*row) for row in rows]


def end(transaction: Transaction, identity: UUID, account: str, *, now: datetime) -> str:
    """End an access of `account` that lasts; return the id of its Patient. Raises NotFoundError."""
    row = transaction.connection.execute(
        "UPDATE break_glass SET until = greatest(%s, since + %s), ended_at = %s"
        " WHERE id = %s AND account = %s AND until > %s RETURNING patient",
        (now, _INSTANT, now, identity, account, now),
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no emergency access `{identity}` of this account that lasts")
    return str(row[0])


def note_notice(transaction: Transaction, identity: UUID, *, now: datetime) -> bool:
    """Note that those who must know were told; return whether they were not before."""
    made = transaction.connection.execute(
        "UPDATE break_glass SET noticed_at = %s WHERE id = %s AND noticed_at IS NULL", (now, identity)
    )
    return bool(made.rowcount)


def review(
    transaction: Transaction, identity: UUID, *, is_justified: bool, remark: str, now: datetime
) -> str:
    """Keep what the transaction's requester found; return the id of the Patient.

    Raises NotFoundError, and ConflictError for what was reviewed before or is the reviewer's own.
    """
    requester = transaction.requester
    reviewer = requester.id or requester.kind
    row = transaction.connection.execute(
        "UPDATE break_glass SET reviewed_at = %s, reviewed_by = %s, is_justified = %s, remark = %s"
        " WHERE id = %s AND reviewed_at IS NULL AND account <> %s RETURNING patient",
        (now, reviewer, is_justified, remark.strip()[:LONGEST_REMARK], identity, reviewer),
    ).fetchone()
    if row is not None:
        return str(row[0])
    known = transaction.connection.execute("SELECT FROM break_glass WHERE id = %s", (identity,)).fetchone()
    if known is None:
        raise NotFoundError(f"There is no emergency access `{identity}`")
    raise ConflictError(f"Emergency access `{identity}` was reviewed before, or is one's own")
