"""The statements by which workers divide what is to be indexed among them, and index it.

Each runs in the caller's transaction.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.index.rows import TextRow
from fhir_server.store.arrays import BigInts, Ints, Texts
from fhir_server.store.bodies import open_rows

# Numbers in one range: what is lost by a worker that dies, and repeated.
RANGE: Final = 500
_MOST_RANGES: Final = 64

_OPEN: Final = "SELECT above FROM full_text_range WHERE last IS NULL FOR UPDATE SKIP LOCKED"
_MOVE: Final = "UPDATE full_text_range SET above = %s WHERE last IS NULL"
_ADD: Final = """
INSERT INTO full_text_range (above, last) SELECT * FROM unnest(%s, %s) ON CONFLICT (above) DO NOTHING
"""
_WAITING: Final = "SELECT above, last FROM full_text_range WHERE last IS NOT NULL ORDER BY above LIMIT %s"
# Kept until the transaction ends, and seen by nobody but other workers; a lock of the row would give the
# transaction a number that searches and exports wait for.
_CLAIM: Final = "SELECT pg_try_advisory_xact_lock(%s, %s)"
_WORDS: Final = 0x574F_5244
_IS_THERE: Final = "SELECT 1 FROM full_text_range WHERE above = %s AND last = %s"
_READ: Final = f"""
SELECT r.type, r.id, r.version, r.body, r.rid, r.seq
FROM generate_series(1, {len(R4_RESOURCE_TYPES)}) AS t (type)
CROSS JOIN LATERAL (
    SELECT type, id, version, body, rid, seq FROM resource
    WHERE type = t.type AND seq > %s AND seq <= %s AND NOT is_deleted OFFSET 0
) AS r
WHERE NOT EXISTS (SELECT 1 FROM ix_text AS x WHERE x.rid = r.rid AND x.seq = r.seq)
"""  # noqa: S608 - a number of ours
# A writer waits for nothing but the statements after this; whoever writes now is not waited for.
_HOLD: Final = """
SELECT r.rid FROM unnest(%s, %s) AS v (rid, seq) JOIN resource AS r ON r.rid = v.rid AND r.seq = v.seq
ORDER BY r.rid FOR SHARE OF r SKIP LOCKED
"""
_CLEAR: Final = "DELETE FROM ix_text WHERE rid = ANY(%s)"
_INSERT: Final = """
INSERT INTO ix_text (param, words, rid, seq)
SELECT param, words::tsvector, rid, seq FROM unnest(%s, %s, %s, %s) AS v (param, words, rid, seq)
"""
_REMOVE: Final = "DELETE FROM full_text_range WHERE above = %s"
_COUNT: Final = """
SELECT coalesce(sum(greatest(coalesce(g.last, s.last) - g.above, 0)), 0)::bigint
FROM full_text_range AS g,
    (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM resource_seq) AS s
"""


class Range(NamedTuple):
    """The versions numbered ``above < seq <= last``."""

    above: int
    last: int


class Spelled(NamedTuple):
    """A current version and its rows of words."""

    rid: int
    seq: int
    rows: Sequence[TextRow]


def divide(connection: Connection[tuple[Any, ...]], settled: int) -> bool:
    """Put what is settled into ranges; False when there is nothing, or another worker does it."""
    found = connection.execute(_OPEN).fetchone()
    if found is None or found[0] >= settled:
        return False
    above: int = found[0]
    last = min(settled, above + _MOST_RANGES * RANGE)
    begins = range(above, last, RANGE)
    connection.execute(_MOVE, (last,))
    connection.execute(_ADD, (BigInts(begins), BigInts([min(each + RANGE, last) for each in begins])))
    return True


def claim(connection: Connection[tuple[Any, ...]]) -> Range | None:
    """Return a range that nobody else works until the transaction ends, None where there is none."""
    for row in connection.execute(_WAITING, (_MOST_RANGES,)).fetchall():
        found = Range(*row)
        # Numbers that share the lock's 31 bits only wait for each other.
        is_mine = connection.execute(_CLAIM, (_WORDS, found.above & 0x7FFFFFFF)).fetchone()
        if is_mine == (True,) and connection.execute(_IS_THERE, found).fetchone() is not None:
            return found
    return None


def read(connection: Connection[tuple[Any, ...]], wanted: Range) -> list[tuple[int, int, bytes]]:
    """Return rid, seq and body of the current versions of `wanted` that have no words in the index."""
    rows = connection.execute(_READ, wanted, binary=True).fetchall()
    bodies = open_rows(connection, [row[:4] for row in rows])
    return [(rid, seq, body or b"") for (*_, rid, seq), body in zip(rows, bodies, strict=True)]


def hold(connection: Connection[tuple[Any, ...]], versions: Sequence[Spelled]) -> set[int]:
    """Keep the rids of `versions` as they are until the transaction ends, and return them.

    Left out are those that are current no longer, or that someone else is changing.
    """
    held = connection.execute(
        _HOLD, (BigInts([each.rid for each in versions]), BigInts([each.seq for each in versions]))
    )
    return {rid for (rid,) in held}


def insert(connection: Connection[tuple[Any, ...]], versions: Sequence[Spelled]) -> None:
    """Put the words of `versions`, which are held, in the place of those that are there."""
    rows = [(*row, each.rid, each.seq) for each in versions for row in each.rows]
    connection.execute(_CLEAR, (BigInts([each.rid for each in versions]),))
    if rows:
        params, words, rids, seqs = zip(*rows, strict=True)
        connection.execute(_INSERT, (Ints(params), Texts(words), BigInts(rids), BigInts(seqs)))


def finish(connection: Connection[tuple[Any, ...]], done: Range, left: Collection[int]) -> None:
    """Remove `done`; the versions with the numbers `left` stay to be gone over again."""
    connection.execute(_REMOVE, (done.above,))
    if left:
        ordered = sorted(left)
        connection.execute(_ADD, (BigInts([seq - 1 for seq in ordered]), BigInts(ordered)))


def waiting(connection: Connection[tuple[Any, ...]]) -> int:
    """Return how many numbers of versions have not been gone over; some are of versions that are gone."""
    row = connection.execute(_COUNT).fetchone()
    return 0 if row is None else int(row[0])
