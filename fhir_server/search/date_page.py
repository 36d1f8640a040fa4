"""Pages in the order of one date, read from the index in that order: for searches that match much.

Sorting all matches costs as much as there are; the index of dates is in order
already, so its rows are asked for the conditions until the page is full.
Resources without a date come last (https://hl7.org/fhir/R4/search.html#sort):
a page that reaches them is left to `key_page`, and so are searches that match little.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from typing import Any

from psycopg import Connection

from fhir_server.search.compile import Plan, SystemPlan
from fhir_server.search.cursor import KeyCursor
from fhir_server.search.match import COLUMNS, WIDTH, Page, execute, matches_of
from fhir_server.search.probe import probe
from fhir_server.search.query import SortKey
from fhir_server.search.sql import Sql, all_of


def read_by_date(
    connection: Connection[tuple[Any, ...]],
    plan: Plan | SystemPlan,
    size: int,
    sort: tuple[SortKey, ...],
    cursor: KeyCursor | None,
) -> Page | None:
    """Return the page of `size` matches behind `cursor`, the first when it is None.

    None where the order is not that of one date, the matches are few, or the page would reach
    resources that have no date.
    """
    if isinstance(plan, SystemPlan) or not plan.is_dense or len(sort) != 1 or sort[0].type != "date":
        return None
    (key,) = sort
    if len(key.numbers) != 1 or (cursor is not None and cursor.keys[0] is None):
        return None
    column, other = ("hi", "lo") if key.is_descending else ("lo", "hi")
    sign, direction = ("<", "DESC") if key.is_descending else (">", "ASC")
    # Of several dates the greatest or least counts; the other end decides between equal ones.
    better = f"(k.{column}, k.{other}) {'>' if key.is_descending else '<'} (x.{column}, x.{other})"
    where = [
        Sql("x.param = %s", (key.numbers[0],)),
        Sql(
            "NOT EXISTS (SELECT 1 FROM ix_date k"
            f" WHERE k.rid = x.rid AND k.param = %s AND {better} OFFSET 0)",
            (key.numbers[0],),
        ),
        *(probe(each, "x") for each in plan.conditions),
    ]
    if cursor is not None:
        # The first says the same as the rest does, in the words that give the index a range.
        where.append(
            Sql(
                f"x.{column} {sign}= %s::timestamptz AND (x.{column} {sign} %s::timestamptz OR x.rid < %s)",
                (cursor.keys[0], cursor.keys[0], cursor.rid),
            )
        )
    wanted = all_of(where)
    order = f"{column} {direction}, rid DESC"
    rows = execute(
        connection,
        Sql(
            f"WITH p AS (SELECT x.rid, x.{column} FROM ix_date x WHERE {wanted.text}"
            f" ORDER BY x.{column} {direction}, x.rid DESC LIMIT {size + 1:d})"
            f" SELECT {COLUMNS}, p.{column}::text AS t FROM p JOIN resource r USING (rid) ORDER BY {order}",
            wanted.params,
        ),
        depends_on_values=plan.depends_on_values,
    )
    if len(rows) <= size:
        return None
    shown = rows[:size]
    return Page(matches_of(connection, shown), KeyCursor(shown[-1][0], (shown[-1][WIDTH],)))
