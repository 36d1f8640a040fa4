"""Versions of many resources, newest first: https://hl7.org/fhir/R4/http.html#history.

Pages run by `seq`, which every version has once and later versions have higher: versions made
meanwhile shift nothing. All pages of one reading end at the same instant, up to which nothing is
missing (`settled`): who asks again from the latest version it saw misses none. Superseded versions
and current ones stand in two tables; each is read type by type from its index (type, seq), so that a
page costs the same however much there is.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection

from fhir_server.index.date_range import DateRange
from fhir_server.search.sql import Sql, all_of
from fhir_server.store.bodies import open_stored
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from fhir_server.store.read import HistoryEntry
from fhir_server.store.settled import settled
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


class FeedCursor(NamedTuple):
    """The place behind the version `before` in a reading of what was made until `until`."""

    before: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of versions; `following` is the place of the next page if there is one.

    `deleted` says of each entry whether its resource is deleted now.
    """

    entries: Sequence[HistoryEntry]
    deleted: Sequence[bool]
    following: FeedCursor | None


def feed(
    connection: Connection[tuple[Any, ...]],
    resource_types: Sequence[str],
    window: Window,
    readable: Sql,
    *,
    count: int,
    now: datetime,
    behind: FeedCursor | None = None,
) -> Feed:
    """Return at most `count` versions of `resource_types` behind the place `behind`, by lastUpdated.

    Where it is None they begin with those made until `now`, or what is settled by then. `readable`
    is a predicate over ``r``, a row of `resource`.
    """
    before, until = behind or FeedCursor(_NEWEST, settled(connection, now))
    current = all_of([*_conditions("r", window, until, is_current=True), readable])
    superseded = all_of([*_conditions("h", window, until, is_current=False), readable])
    numbers = [TYPE_NUMBER[each] for each in resource_types]
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
        (numbers, before, *current.params, count + 1, before, *superseded.params, count + 1, count + 1),
        binary=True,
    ).fetchall()
    shown = rows[:count]
    following = FeedCursor(shown[-1][6], until) if len(rows) > count and shown else None
    # Writers that were at work at once may be stamped in another order than they are numbered.
    shown.sort(key=lambda row: (row[3], row[6]), reverse=True)
    stored = open_stored(connection, [StoredResource(TYPE_NAME[row[0]], *row[1:5]) for row in shown])
    entries = [HistoryEntry(each, Method(row[5])) for each, row in zip(stored, shown, strict=True)]
    return Feed(entries, [row[7] for row in shown], following)


def _conditions(version: str, window: Window, until: datetime, *, is_current: bool) -> list[Sql]:
    found = [Sql(f"{version}.last_updated <= %s", (until,))]
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
