"""Until when what was written is visible to a reader, so that one who polls by `_since` misses nothing.

A version is stamped with the time before its transaction commits, so that a version may appear
that is older than one that was seen already. Every writer is known to PostgreSQL as under way (it has
a transaction id) before it stamps: who waits until all that are under way have ended sees whatever
was stamped until then. Nobody waits for the reader, and writers pay nothing.

As `_lastUpdated` itself this holds as far as the clocks of several servers agree.
https://hl7.org/fhir/R4/http.html#history
"""

import time
from datetime import datetime
from typing import Any, Final

from psycopg import Connection

from fhir_server.store.content import to_milliseconds

# A column that has the transaction known as under way. It writes next, so it would be anyway.
UNDER_WAY: Final = "pg_current_xact_id() IS NULL"

# Not from a snapshot: it does not list those that began after the last one that ended.
_WRITERS: Final = """
SELECT a.backend_xid::text, a.xact_start FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()
"""
_PATIENCE_SECONDS: Final = 0.5
_STEP_SECONDS: Final = 0.005


def announce(connection: Connection[tuple[Any, ...]]) -> None:
    """Have the transaction known as under way before it stamps versions, where it takes no numbers before."""
    connection.execute(f"SELECT {UNDER_WAY}")


def settled(connection: Connection[tuple[Any, ...]], now: datetime) -> datetime:
    """Return the instant up to which all versions are visible to the next statement of `connection`.

    That is `now` unless a writer needs longer than half a second: then it is the beginning of the
    longest transaction. Later versions may be missing, and are for the next reading. Whole milliseconds.
    """
    waited: dict[str, datetime | None] = dict(connection.execute(_WRITERS).fetchall())
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while waited and time.monotonic() < deadline:
        time.sleep(_STEP_SECONDS)
        current = dict(connection.execute(_WRITERS).fetchall())
        waited = {number: begin for number, begin in waited.items() if number in current}
    return to_milliseconds(min([now, *(begin for begin in waited.values() if begin is not None)]))
