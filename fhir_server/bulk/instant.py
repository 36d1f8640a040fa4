"""The transactionTime of an export: an instant whose past is complete.

"SHALL include any matching resources modified up to and including this instant"
(https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status). A version gets its
lastUpdated inside its transaction and becomes visible at its end, so that what is visible now may lack
versions of the last moments. The instant therefore lies before the beginning of every transaction
that may still write.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hie.core.clock import Clock
from hie.core.db.database import Transaction

# A transaction that has written has a transaction id; one that has none yet and is younger than this
# may have taken its lastUpdated already and be about to write.
_ABOUT_TO_WRITE_SECONDS: Final = 10.0
_MILLISECOND: Final = timedelta(milliseconds=1)

_UNDER_WAY: Final = """
SELECT clock_timestamp(), pid, xact_start
FROM (SELECT 1) AS one LEFT JOIN pg_stat_activity ON datname = current_database()
    AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    AND (backend_xid IS NOT NULL OR xact_start > clock_timestamp() - make_interval(secs => %s))
"""


@dataclass(frozen=True, slots=True)
class Complete:
    """Up to `until` everything that was committed is visible; `writers` are transactions that may write."""

    until: datetime
    writers: frozenset[tuple[int, str]]


def complete_until(transaction: Transaction, clock: Clock) -> Complete:
    """Return up to which instant, in whole milliseconds of `clock`, nothing more can appear.

    A snapshot of the database that is taken after this holds every version up to the instant.
    """
    rows = transaction.connection.execute(_UNDER_WAY, (_ABOUT_TO_WRITE_SECONDS,)).fetchall()
    now = clock.now()
    theirs = rows[0][0]
    under_way = [(pid, start) for _, pid, start in rows if pid is not None]
    oldest = min((start for _, start in under_way), default=theirs)
    until = min(theirs, oldest) + (now - theirs)
    return Complete(
        until.replace(microsecond=until.microsecond // 1000 * 1000) - _MILLISECOND,
        frozenset((pid, start.isoformat()) for pid, start in under_way),
    )
