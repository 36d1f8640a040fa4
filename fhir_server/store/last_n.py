"""Reads the newest Observations of each code: the data of $lastn.

https://hl7.org/fhir/R4/observation-operation-lastn.html. One statement finds codes and effective times
of all that are considered, from the index; one reads the bodies of those that are kept.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection

from fhir_server.index.hashing import NO_CODE, param_id
from fhir_server.search.sql import Sql
from fhir_server.store.bodies import open_rows, open_stored
from fhir_server.store.identity import TYPE_NUMBER
from hie.core.ports import StoredResource

_TYPE = "Observation"


class Considered(NamedTuple):
    """One Observation that may be kept.

    `codes` and `systems` are the hashes of its codings, side by side; `body` is there only where there
    are none. `start` and `end` are those of its effective time, None without one.
    """

    rid: int
    codes: Sequence[int] | None
    systems: Sequence[int] | None
    start: datetime | None
    end: datetime | None
    body: bytes | None


def read_considered(connection: Connection[tuple[Any, ...]], selection: Sql) -> list[Considered]:
    """Return the Observations of `selection` of (rid, seq), the last effective first."""
    rows = connection.execute(
        f"""
SELECT s.rid, c.codes, c.systems, d.lo, d.hi, r.id, r.version, CASE WHEN c.codes IS NULL THEN r.body END
FROM ({selection.text}) AS s
CROSS JOIN LATERAL (
    SELECT array_agg(t.code_hash) AS codes, array_agg(t.system_hash) AS systems FROM ix_token t
    WHERE t.rid = s.rid AND t.param = %s AND t.code_hash <> %s
) AS c
LEFT JOIN LATERAL (
    SELECT e.lo, e.hi FROM ix_date e WHERE e.rid = s.rid AND e.param = %s
    ORDER BY e.hi DESC, e.lo DESC LIMIT 1
) AS d ON true
JOIN resource r ON r.rid = s.rid
ORDER BY d.hi DESC NULLS LAST, d.lo DESC, s.rid DESC
""",
        (*selection.params, param_id(_TYPE, "code"), NO_CODE, param_id(_TYPE, "date")),
        binary=True,
    ).fetchall()
    bodies = open_rows(connection, [(TYPE_NUMBER[_TYPE], *row[5:]) for row in rows])
    return [Considered._make((*row[:5], body)) for row, body in zip(rows, bodies, strict=True)]


def read_kept(
    connection: Connection[tuple[Any, ...]], rids: Sequence[int], readable: Sql
) -> list[StoredResource]:
    """Return the current Observations `rids`, in that order; `readable` is a predicate over a row "r"."""
    rows = connection.execute(
        f"SELECT r.rid, r.id, r.version, r.last_updated, r.body FROM resource r"
        f" WHERE r.rid = ANY(%s) AND NOT r.is_deleted AND {readable.text}",
        (list(rids), *readable.params),
        binary=True,
    ).fetchall()
    stored = open_stored(connection, [StoredResource(_TYPE, *row[1:]) for row in rows])
    found = {row[0]: each for row, each in zip(rows, stored, strict=True)}
    return [found[rid] for rid in rids if rid in found]
