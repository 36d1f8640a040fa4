"""Versions of many resources, newest first: https://hl7.org/fhir/R4/http.html#history.

Pages run by `seq`, which every version has once and later versions have higher: versions made
meanwhile shift nothing. Superseded versions and current ones stand in two tables; each is read
type by type from its index (type, seq), so that a page costs the same however much there is.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from fhir_server.index.date_range import DateRange
from fhir_server.search.sql import Sql, all_of
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.store.read import HistoryEntry
from fhir_server.store.write import Method
from hie.core.ports import StoredResource

_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Window:
    """Which versions are meant.

    `since` is the first instant of their making, `at` the period in which they were current for
    some time, `among` the resources (type, id) they are versions of; None where it does not matter.
    """

    since: datetime | None = None
    at: DateRange | None = None
    among: Sequence[tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of versions; `next_before` is the cursor of the next page if there is one.

    `deleted` says of each entry whether its resource is deleted now.
    """

    entries: Sequence[HistoryEntry]
    deleted: Sequence[bool]
    next_before: int | None


def feed(
    connection: Connection[tuple[Any, ...]],
    resource_types: Sequence[str],
    window: Window,
    readable: Sql,
    *,
    count: int,
    before: int | None = None,
) -> Feed:
    """Return at most `count` versions of `resource_types` that lie before the cursor `before`.

    `readable` is a predicate over ``r``, a row of `resource`.
    """
    current = all_of([*_conditions("r", window, is_current=True), readable])
    superseded = all_of([*_conditions("h", window, is_current=False), readable])
    cursor, numbers = before or _NEWEST, [TYPE_NUMBER[each] for each in resource_types]
    rows = connection.execute(
        f"""
        SELECT type, id, version, last_updated, body, method, seq, is_deleted
        FROM unnest(%s::smallint[]) AS t (number)
        CROSS JOIN LATERAL (
            (SELECT r.type, r.id, r.version, r.last_updated, r.body, r.method, r.seq, r.is_deleted
             FROM resource r
             WHERE r.type = t.number AND r.seq < %s AND {current.text}
             ORDER BY r.seq DESC LIMIT %s)
            UNION ALL
            (SELECT r.type, r.id, h.version, h.last_updated, h.body, h.method, h.seq, r.is_deleted
             FROM resource_history h JOIN resource r ON r.rid = h.rid
             WHERE h.type = t.number AND h.seq < %s AND {superseded.text}
             ORDER BY h.seq DESC LIMIT %s)
        ) AS v
        ORDER BY seq DESC LIMIT %s
        """,
        (numbers, cursor, *current.params, count + 1, cursor, *superseded.params, count + 1, count + 1),
    ).fetchall()
    shown = rows[:count]
    following = shown[-1][6] if len(rows) > count and shown else None
    return Feed([_entry(row) for row in shown], [row[7] for row in shown], following)


def _conditions(version: str, window: Window, *, is_current: bool) -> list[Sql]:
    found: list[Sql] = []
    if window.since is not None:
        found.append(Sql(f"{version}.last_updated >= %s", (window.since,)))
    if window.at is not None:
        low, high = window.at
        found.append(Sql(f"{version}.last_updated < %s", (high,)))
        if not is_current:
            # Until the next version was made; that stands in one of the two tables.
            found.append(
                Sql(
                    f"coalesce((SELECT n.last_updated FROM resource_history n"
                    f" WHERE n.rid = {version}.rid AND n.version = {version}.version + 1), r.last_updated)"
                    " > %s",
                    (low,),
                )
            )
    if window.among is not None:
        types = [TYPE_NUMBER[name] for name, _ in window.among]
        ids = [resource_id for _, resource_id in window.among]
        found.append(
            Sql("(r.type, r.id) IN (SELECT * FROM unnest(%s::smallint[], %s::text[]))", (types, ids))
        )
    return found


def _entry(row: tuple[Any, ...]) -> HistoryEntry:
    number, resource_id, version, last_updated, body, method, *_ = row
    text = None if body is None else body.encode()
    stored = StoredResource(TYPE_NAME[number], resource_id, version, last_updated, text)
    return HistoryEntry(stored, Method(method))
