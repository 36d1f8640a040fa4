"""Pages in the order of `_sort`.

A page goes on behind the sort keys and the row of the last match. There is no
snapshot: a resource whose own sort key changes while it is paged over may be
seen twice or not at all; all others are seen once.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from fhir_server.search.compile import Bounds, Plan, SystemPlan
from fhir_server.search.cursor import KeyCursor
from fhir_server.search.match import COLUMNS, WIDTH, Page, execute, matches_of
from fhir_server.search.sort import Key, behind
from fhir_server.search.sql import Sql, joined


def read_by_keys(
    connection: Connection[tuple[Any, ...]],
    plan: Plan | SystemPlan,
    size: int,
    keys: Sequence[Key],
    cursor: KeyCursor | None,
) -> Page:
    """Return the page of `size` matches behind `cursor`, the first when it is None."""
    order = ", ".join([f"k{at} {key.order}" for at, key in enumerate(keys)] + ["rid DESC"])
    named = joined("", [Sql(f", {key.value.text} AS k{at}", key.value.params) for at, key in enumerate(keys)])
    # Named apart: ORDER BY takes the name of an output column first, and would order by the texts.
    texts = "".join(f", k{at}::text AS t{at}" for at in range(len(keys)))
    where = Sql("true") if cursor is None else behind(keys, cursor.keys, cursor.rid)
    statement = joined(
        "",
        [
            Sql("WITH m AS MATERIALIZED ("),
            plan.all(Bounds()),
            Sql("), k AS (SELECT r.rid"),
            named,
            Sql(" FROM m JOIN resource r ON r.rid = m.rid), p AS (SELECT * FROM k WHERE "),
            where,
            Sql(f" ORDER BY {order} LIMIT {size + 1:d})"),
            Sql(f" SELECT {COLUMNS}{texts} FROM p JOIN resource r USING (rid) ORDER BY {order}"),
        ],
    )
    rows = execute(connection, statement, depends_on_values=plan.depends_on_values)
    shown = rows[:size]
    following = KeyCursor(shown[-1][0], tuple(shown[-1][WIDTH:])) if len(rows) > size and shown else None
    return Page(matches_of(connection, shown), following)
