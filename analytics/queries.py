"""The statements of analytics: counts in, cases in, series out."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from hie.core.db.database import Transaction
from hie.core.ports import DailyCount

if TYPE_CHECKING:
    import pandas as pd

_DRAFT = """
CREATE TEMPORARY TABLE daily_count_draft (
    day date, division text, institution text, condition text, cases int
) ON COMMIT DROP
"""
_TAKE = """
INSERT INTO daily_count (condition, day, institution, division, cases)
SELECT condition, day, institution, max(division), sum(cases) FROM daily_count_draft
GROUP BY condition, day, institution
ON CONFLICT (condition, day, institution) DO UPDATE SET division = excluded.division, cases = excluded.cases
"""
_SERIES = """
SELECT condition, division, day, sum(cases)::int AS cases FROM (
    SELECT condition, division, day, cases FROM daily_count WHERE day BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT r.condition, coalesce(s.division, ''), r.day, 1
    FROM case_report r LEFT JOIN surveillance_site s USING (institution)
    WHERE r.condition <> '' AND r.day BETWEEN %(first)s AND %(last)s
) AS counted GROUP BY condition, division, day
"""
_KEEP_CASES = """
INSERT INTO case_report (condition_id, version, condition, day, institution)
SELECT * FROM unnest(%s::text[], %s::int[], %s::text[], %s::date[], %s::text[])
ON CONFLICT (condition_id) DO UPDATE SET version = excluded.version, condition = excluded.condition,
    day = excluded.day, institution = excluded.institution
WHERE case_report.version < excluded.version
"""


def load_counts(transaction: Transaction, rows: Iterable[DailyCount]) -> int:
    """Store aggregated counts by COPY, replacing those of the same day, institution and condition."""
    cursor = transaction.connection.cursor()
    cursor.execute(_DRAFT)
    with cursor.copy(
        "COPY daily_count_draft (day, division, institution, condition, cases) FROM STDIN"
    ) as copy:
        for row in rows:
            copy.write_row((row.day, row.division, row.institution, row.condition, row.cases))
    cursor.execute(_TAKE)
    count = cursor.rowcount
    cursor.execute("DROP TABLE daily_count_draft")
    return count


def keep_cases(transaction: Transaction, cases: Sequence[tuple[str, int, str, date, str]]) -> None:
    """Store (Condition id, version, group key or "", day, institution); an older version changes nothing."""
    columns: list[list[Any]] = [list(column) for column in zip(*cases, strict=True)]
    if columns:
        transaction.connection.execute(_KEEP_CASES, columns)


def series(transaction: Transaction, *, first: date, last: date) -> "pd.DataFrame":
    """Return `condition, division, day, cases` summed over institutions; days without cases have no row."""
    import pandas as pd

    rows = transaction.connection.execute(_SERIES, {"first": first, "last": last}).fetchall()
    return pd.DataFrame(rows, columns=["condition", "division", "day", "cases"])


def division_names(transaction: Transaction) -> dict[str, str]:
    """Return the names of the divisions that have a site, by code."""
    rows = transaction.connection.execute(
        "SELECT division, max(division_name) FROM surveillance_site GROUP BY 1"
    )
    return dict(rows.fetchall())
