"""How the trail stands: what an auditor sees before asking for a verification."""

from dataclasses import dataclass
from datetime import datetime

from hie.core.audit.chain import Head, head
from hie.core.db.database import Transaction


@dataclass(frozen=True, slots=True)
class State:
    """The end of the chain, the last anchor, what waits in the database, and complaints without an answer."""

    head: Head
    anchor: int | None
    anchored_at: datetime | None
    pending: int
    complaints: int


def state(transaction: Transaction) -> State:
    """Return how the trail stands."""
    connection = transaction.connection
    anchor = connection.execute(
        "SELECT seq, made_at FROM audit_anchor WHERE kind = 'anchor' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM (SELECT FROM audit_pending LIMIT 100000) AS p),"
        " (SELECT count(*) FROM audit_complaint WHERE answered_at IS NULL)"
    ).fetchone()
    pending, complaints = counts or (0, 0)
    seq, made_at = anchor or (None, None)
    return State(head(transaction), seq, made_at, pending, complaints)
