"""The months of the trail: one partition of `audit_event` each, which retention drops as a whole.

The oldest months are the beginning of the chain. What remains is verified from the hash of the last
record that went, which is kept as an anchor of the kind "prune".
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from psycopg import sql

from hie.core.db.database import Transaction

_NAME: Final = re.compile(r"audit_event_(\d{4})_(\d{2})")
_LAST_MONTH: Final = 12


@dataclass(frozen=True, slots=True)
class Month:
    """A partition: its first instant and the first of the month after it."""

    name: str
    begins: datetime
    ends: datetime


def month_of(moment: datetime) -> Month:
    """Return the month (UTC) that `moment` lies in."""
    begins = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    is_last = begins.month == _LAST_MONTH
    ends = begins.replace(
        year=begins.year + 1 if is_last else begins.year, month=1 if is_last else begins.month + 1
    )
    return Month(f"audit_event_{begins:%Y_%m}", begins, ends)


def ensure_month(transaction: Transaction, moment: datetime) -> None:
    """Make the partition that `moment` lies in if there is none; its rows cannot be changed either."""
    month = month_of(moment)
    connection = transaction.connection
    if connection.execute("SELECT to_regclass(%s)", (month.name,)).fetchone() != (None,):
        return
    name = sql.Identifier(month.name)
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF audit_event FOR VALUES FROM ({}) TO ({})").format(
            name, sql.Literal(month.begins), sql.Literal(month.ends)
        )
    )
    connection.execute(
        sql.SQL(
            "CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON {}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
        ).format(name)
    )


def months(transaction: Transaction) -> list[Month]:
    """Return the months that there are, oldest first."""
    rows = transaction.connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'audit_event'::regclass ORDER BY 1"
    ).fetchall()
    found = [_NAME.fullmatch(name) for (name,) in rows]
    return [month_of(datetime(int(each[1]), int(each[2]), 1, tzinfo=UTC)) for each in found if each]


def drop(transaction: Transaction, month: Month) -> None:
    """Drop the month; the caller keeps the hash of its last record."""
    transaction.connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(month.name)))
