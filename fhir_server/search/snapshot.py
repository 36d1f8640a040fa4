"""What the first page of a search could see, so that the next pages show the same.

Sequence numbers are given out before their transactions commit: a version may
appear with a lower number than one that was seen before. While other
transactions are under way, a snapshot therefore lists the latest versions that
were visible; all before them count as visible. (A writer locks the resources it
changes before it numbers their versions, so it is known to be under way.) Transactions that stay open while
WINDOW further versions are numbered are beyond what it can tell apart.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from fhir_server.search.sql import Sql, joined

# A gateway's batch holds some hundreds of versions; eight of them at once stay below.
WINDOW: Final = 20_000
# At most so many versions of the searched type are listed; a cursor stays below 4 kB.
_MOST_LISTED: Final = 1_000
# Whether transactions had not ended when the snapshot of a statement was taken. It does not list those whose
# numbers are above that of the last one that ended; but age() counts from the next number to be given out
# (PostgreSQL: xid_age in src/backend/utils/adt/xid.c). Whoever writes counts from its own number.
UNDER_WAY: Final = """(
SELECT pg_snapshot_xmin(s) < pg_snapshot_xmax(s) OR age(xid(pg_snapshot_xmin(s))) <> 0
    OR pg_current_xact_id_if_assigned() IS NOT NULL
FROM pg_current_snapshot() AS s)"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Versions up to `floor` are visible; of later ones those in `listed`, ascending."""

    floor: int
    listed: tuple[int, ...] = ()

    def seen(self, column: str) -> Sql:
        """Return whether the version whose number is in `column` is visible."""
        if not self.listed:
            return Sql(f"{column} <= %s", (self.floor,))
        return Sql(f"({column} <= %s OR {column} = ANY(%s::bigint[]))", (self.floor, list(self.listed)))

    def pack(self) -> bytes:
        """Return the snapshot as few bytes: the floor, then the distances to each listed version."""
        distances = [after - before for before, after in pairwise((self.floor, *self.listed))]
        if max(distances, default=0) < 0x80:  # noqa: PLR2004 - each is one byte as it is
            packed = bytes(distances)
        else:
            packed = b"".join(_variable_length(each) for each in distances)
        return zlib.compress(_variable_length(self.floor) + packed)


def unpack(packed: bytes) -> Snapshot:
    """Return the snapshot that `pack` wrote; raises ValueError for anything else."""
    try:
        raw = zlib.decompress(packed)
    except zlib.error as error:
        raise ValueError("not a snapshot") from error
    numbers, number, shift = [], 0, 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that the number goes on
            numbers.append(number)
            number = shift = 0
    if not numbers or shift:
        raise ValueError("not a snapshot")
    total = numbers[0]
    listed = []
    for distance in numbers[1:]:
        total += distance
        listed.append(total)
    return Snapshot(numbers[0], tuple(listed))


def visible_versions(type_numbers: Sequence[int], is_wanted: Sql) -> Sql:
    """Return a SELECT of (latest, recent): the latest visible version of the types, and those to list.

    `recent` is null unless `is_wanted` and other transactions are under way.
    """
    numbers = list(type_numbers)
    return joined(
        "",
        [
            Sql(f"SELECT w.latest, CASE WHEN {UNDER_WAY} AND "),
            is_wanted,
            Sql(
                " THEN ARRAY(SELECT s.seq FROM resource s"
                " WHERE s.type = ANY(%s::smallint[]) AND s.seq > w.latest - %s"
                " ORDER BY s.seq DESC LIMIT %s) END AS recent"
                # One look into the index a type: a maximum over several types reads them whole.
                " FROM (SELECT coalesce(max(l.seq), 0) AS latest FROM unnest(%s::smallint[]) AS n (type)"
                " CROSS JOIN LATERAL (SELECT r.seq FROM resource r WHERE r.type = n.type"
                " ORDER BY r.seq DESC LIMIT 1) AS l) AS w",
                (numbers, WINDOW, _MOST_LISTED, numbers),
            ),
        ],
    )


def snapshot_of(latest: int, recent: Sequence[int] | None) -> Snapshot:
    """Return the snapshot that a row of `visible_versions` describes."""
    if recent is None:
        return Snapshot(latest)
    ascending = sorted(recent)
    if len(ascending) < _MOST_LISTED:
        return Snapshot(max(latest - WINDOW, 0), tuple(ascending))
    return Snapshot(ascending[0], tuple(ascending[1:]))


def _variable_length(number: int) -> bytes:
    """Return `number` in groups of seven bits, the lowest first, all but the last marked (LEB128)."""
    groups = bytearray()
    while number >= 0x80:  # noqa: PLR2004 - what seven bits hold
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
