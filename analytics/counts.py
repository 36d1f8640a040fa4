"""The sink of aggregated daily counts: implements `hie.core.ports.DailyCountSink`."""

from collections.abc import Iterable

from analytics import queries
from hie.core.db.database import Transaction
from hie.core.ports import DailyCount


class DailyCounts:
    """Stores daily counts that an office hands over."""

    def load(self, transaction: Transaction, rows: Iterable[DailyCount]) -> int:
        """Store `rows`, replacing counts of the same day, institution and condition; return how many."""
        return queries.load_counts(transaction, rows)
