"""The sink of aggregated daily counts: implements `hie.core.ports.DailyCountSink`."""

from collections.abc import Iterable

from analytics import queries
from analytics.tables import SurveillanceSiteRow
from hie.core.db.database import Transaction
from hie.core.ports import DailyCount, SurveillanceSite


class DailyCounts:
    """Stores daily counts that an office hands over."""

    def register(self, transaction: Transaction, sites: Iterable[SurveillanceSite]) -> None:
        """Make the sites known, or replace what is known of them."""
        for site in sites:
            row = SurveillanceSiteRow(
                institution=site.institution,
                name=site.name,
                division=site.division,
                division_name=site.division_name,
            )
            transaction.session.merge(row)

    def load(self, transaction: Transaction, rows: Iterable[DailyCount]) -> int:
        """Store `rows`, replacing counts of the same day, institution and condition; return how many."""
        return queries.load_counts(transaction, rows)
