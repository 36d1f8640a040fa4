"""What the index of words may lack of one type: for searches, which look at those resources themselves.

So a search by `_text` or `_content` finds what was committed before it, however far behind the index is,
as long as what is missing is little. Reads only.
"""

from typing import Any, Final, NamedTuple

from psycopg import Connection

from fhir_server.store.bodies import open_rows

# Looking at a resource of 1 kB takes 50 microseconds, more than a look into the index by far.
MOST: Final = 200
# As PostgreSQL stores them, compressed.
_MOST_BYTES: Final = 1024 * 1024
# So far is counted what is too much.
MOST_COUNTED: Final = 10_000

_FIND: Final = f"""
SELECT r.rid, r.seq, r.size
FROM full_text_range AS g
CROSS JOIN LATERAL (
    SELECT rid, seq, pg_column_size(body) AS size FROM resource
    WHERE type = %s AND seq > g.above AND seq <= coalesce(g.last, 9223372036854775807) AND NOT is_deleted
    OFFSET 0
) AS r
LIMIT {MOST_COUNTED + 1}
"""  # noqa: S608 - a number of ours
_READ: Final = """
SELECT type, id, version, body, rid, seq FROM resource
WHERE rid = ANY(%s::bigint[]) AND seq = ANY(%s::bigint[]) AND NOT is_deleted
"""


class Missing(NamedTuple):
    """The versions (rid, seq, body) to look at, or how many resources there are when they are too many.

    `behind` counts up to MOST_COUNTED + 1.
    """

    versions: tuple[tuple[int, int, bytes], ...]
    behind: int


def missing(connection: Connection[tuple[Any, ...]], type_number: int) -> Missing:
    """Return the current versions of a type whose words may not be indexed."""
    found = connection.execute(_FIND, (type_number,)).fetchall()
    if not found:
        return Missing((), 0)
    if len(found) > MOST or sum(size for _, _, size in found) > _MOST_BYTES:
        return Missing((), len(found))
    rids, seqs = [row[0] for row in found], [row[1] for row in found]
    rows = connection.execute(_READ, (rids, seqs), binary=True).fetchall()
    bodies = open_rows(connection, [row[:4] for row in rows])
    return Missing(
        tuple((rid, seq, body or b"") for (*_, rid, seq), body in zip(rows, bodies, strict=True)), 0
    )
