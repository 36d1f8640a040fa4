"""Pages in the order of versions: newest first, or oldest first by ``_sort=_lastUpdated``.

The pages of one search show it as the first page saw it: a resource that is
changed while its search is paged keeps the place of the version that was
current then (found in `resource_history`) and is shown as it is now, if it still
matches; a resource that is created meanwhile is not shown. So each is seen once.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from operator import itemgetter
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.compile import Bounds, Plan, SystemPlan
from fhir_server.search.cursor import VersionCursor
from fhir_server.search.match import COLUMNS, WIDTH, Page, execute, matches_of
from fhir_server.search.snapshot import UNDER_WAY, Snapshot, snapshot_of, visible_versions
from fhir_server.search.sql import Sql, joined

_NO_RESOURCE: Final = ", ".join(["NULL"] * WIDTH)
# The number of the version that a row stands for.
_AT: Final = itemgetter(WIDTH)


def read_by_version(
    connection: Connection[tuple[Any, ...]],
    plan: Plan | SystemPlan,
    size: int,
    cursor: VersionCursor | None,
    *,
    is_ascending: bool,
) -> Page:
    """Return the page of `size` matches behind `cursor`, the first when it is None."""
    if cursor is None:
        rows, snapshot = _first(connection, plan, size, is_ascending=is_ascending)
    else:
        rows, snapshot = _next(connection, plan, size, cursor, is_ascending=is_ascending), cursor.snapshot
    # The join with `resource` promises no order.
    rows.sort(key=_AT, reverse=not is_ascending)
    shown = rows[:size]
    following = VersionCursor(snapshot, shown[-1][WIDTH]) if len(rows) > size and shown else None
    return Page(matches_of(connection, shown), following)


def _first(
    connection: Connection[tuple[Any, ...]], plan: Plan | SystemPlan, size: int, *, is_ascending: bool
) -> tuple[list[tuple[Any, ...]], Snapshot]:
    """Return the rows of the first page and the snapshot that its statement saw."""
    if not is_ascending:
        rows = _newest(connection, plan, size)
        # Nobody else at work: whatever changes from now on is later than the latest match.
        if len(rows) <= size or not rows[0][WIDTH + 1]:
            return rows, Snapshot(max(map(_AT, rows), default=0))
    return _first_with_snapshot(connection, plan, size, is_ascending=is_ascending)


def _newest(
    connection: Connection[tuple[Any, ...]], plan: Plan | SystemPlan, size: int
) -> list[tuple[Any, ...]]:
    """Return the rows of the first page, each with whether other transactions were under way.

    Most searches end here: planning the longer statement takes three times as long as this one.
    """
    statement = joined(
        "",
        [
            Sql(f"SELECT {COLUMNS}, p.at, {UNDER_WAY} FROM ("),
            plan.page(Bounds(), size + 1),
            Sql(") AS p (rid, at) JOIN resource r ON r.rid = p.rid"),
        ],
    )
    return execute(connection, statement, depends_on_values=plan.depends_on_values)


def _first_with_snapshot(
    connection: Connection[tuple[Any, ...]], plan: Plan | SystemPlan, size: int, *, is_ascending: bool
) -> tuple[list[tuple[Any, ...]], Snapshot]:
    has_more = Sql(f"(SELECT count(*) FROM p) > {size:d}")
    statement = joined(
        "",
        [
            Sql("WITH p (rid, at) AS MATERIALIZED ("),
            plan.page(Bounds(is_ascending=is_ascending), size + 1),
            Sql(f") SELECT {COLUMNS}, p.at, NULL::bigint[] FROM p JOIN resource r ON r.rid = p.rid"),
            Sql(f" UNION ALL SELECT {_NO_RESOURCE}, v.latest, v.recent FROM ("),
            visible_versions(plan.type_numbers, has_more),
            Sql(") AS v"),
        ],
    )
    rows, snapshot = [], Snapshot(0)
    for row in execute(connection, statement, depends_on_values=plan.depends_on_values):
        if row[0] is None:
            snapshot = snapshot_of(row[WIDTH], row[WIDTH + 1])
        else:
            rows.append(row)
    return rows, snapshot


def _next(
    connection: Connection[tuple[Any, ...]],
    plan: Plan | SystemPlan,
    size: int,
    cursor: VersionCursor,
    *,
    is_ascending: bool,
) -> list[tuple[Any, ...]]:
    """Return the rows behind `cursor`: matches that are as they were, and those changed since."""
    snapshot = cursor.snapshot
    if is_ascending:
        bounds, sign, direction = Bounds(after=cursor.at, seen=snapshot, is_ascending=True), ">", "ASC"
    else:
        bounds, sign, direction = Bounds(before=cursor.at, seen=snapshot), "<", "DESC"
    was_seen, is_seen = snapshot.seen("o.seq"), snapshot.seen("c.seq")
    statement = joined(
        "",
        [
            Sql(f"SELECT {COLUMNS}, p.at FROM (SELECT * FROM (("),
            plan.page(bounds, size + 1),
            Sql(") UNION ALL (SELECT c.rid, h.seq FROM ("),
            plan.all(Bounds(after=snapshot.floor)),
            Sql(
                ") AS c CROSS JOIN LATERAL (SELECT o.seq, o.is_deleted FROM resource_history o"
                f" WHERE o.rid = c.rid AND {was_seen.text} ORDER BY o.version DESC LIMIT 1) AS h"
                f" WHERE NOT {is_seen.text} AND NOT h.is_deleted AND h.seq {sign} %s)",
                (*was_seen.params, *is_seen.params, cursor.at),
            ),
            Sql(f") AS u (rid, at) ORDER BY at {direction} LIMIT {size + 1:d}) AS p"),
            Sql(" JOIN resource r ON r.rid = p.rid"),
        ],
    )
    return execute(connection, statement, depends_on_values=plan.depends_on_values)
