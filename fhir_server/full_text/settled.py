"""Up to which number every version is there that will ever be: nothing below it can still appear.

Numbers are given out before their transactions commit. `nextval` holds a lock on its sequence until
its transaction ends (PostgreSQL: src/backend/commands/sequence.c, lock_and_open_sequence), and locks are
given back after the commit has become visible; so what was numbered before a moment is settled when the
transactions that held that lock then do no longer. No writer does anything for this, or waits.
"""

from typing import Any, Final

from psycopg import Connection

_LAST: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM resource_seq"
_NUMBERING: Final = """
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = 'resource_seq'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Settled:
    """Watches the transactions that number versions; one for each thread."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._until = 0
        self._next: tuple[int, frozenset[str]] | None = None

    def until(self, connection: Connection[tuple[Any, ...]]) -> int:
        """Return the highest number that is known to be settled: a later statement sees all up to it.

        It follows the writers from call to call: what is numbered when it is called is settled at
        the first call that finds those transactions ended.
        """
        # The number first: who takes one afterwards takes a higher one.
        row = connection.execute(_LAST).fetchone()
        last: int = row[0] if row is not None else 0
        writers = frozenset(each for (each,) in connection.execute(_NUMBERING))
        if self._next is not None and not self._next[1] & writers:
            self._until = max(self._until, self._next[0])
            self._next = None
        if not writers:
            self._until = max(self._until, last)
        elif self._next is None and last > self._until:
            self._next = last, writers
        return self._until
