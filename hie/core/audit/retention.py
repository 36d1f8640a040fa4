"""How long the trail is kept: whole months go when all of their records are older than the setting.

《网络安全法》 article 21 (3) asks for network logs of no less than six months, which is the least that the
setting takes; the default of three years is a choice of ours, not a term of law.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hie.core.access import SYSTEM
from hie.core.audit.anchors import Anchor, keep
from hie.core.audit.chain import Head, lock
from hie.core.audit.months import Month, drop, months
from hie.core.audit.record import Record
from hie.core.db.database import Transaction


@dataclass(frozen=True, slots=True)
class Pruned:
    """A month that went, and its last record."""

    month: Month
    last: Head


def due(transaction: Transaction, now: datetime, keep_days: int) -> list[Month]:
    """Return the months that end before the time that is kept, oldest first."""
    limit = now - timedelta(days=keep_days)
    return [month for month in months(transaction) if month.ends <= limit]


def prune(transaction: Transaction, now: datetime, keep_days: int) -> list[Pruned]:
    """Drop the months that are due; each leaves the hash of its last record, and a record that says so."""
    lock(transaction)
    made: list[Pruned] = []
    for month in due(transaction, now, keep_days):
        row = transaction.connection.execute(
            "SELECT seq, hash, chained_at FROM audit_event WHERE chained_at >= %s AND chained_at < %s"
            " ORDER BY seq DESC LIMIT 1",
            (month.begins, month.ends),
        ).fetchone()
        drop(transaction, month)
        if row is None:
            continue
        last = Head(*row)
        keep(transaction, Anchor(last.seq, last.hash, now, "prune"))
        detail = {"month": f"{month.begins:%Y-%m}", "last": str(last.seq), "hash": last.hash.hex()}
        transaction.record(Record("trail", "prune", "D", SYSTEM, now, detail=detail))
        made.append(Pruned(month, last))
    return made
