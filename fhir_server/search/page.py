"""One page of matches, and how many there are in all."""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from typing import Any, Final

from psycopg import Connection

from fhir_server.search.compile import Bounds, Plan, SystemPlan
from fhir_server.search.cursor import Cursor, KeyCursor, VersionCursor
from fhir_server.search.date_page import read_by_date
from fhir_server.search.key_page import read_by_keys
from fhir_server.search.match import Page, execute
from fhir_server.search.query import Query
from fhir_server.search.sort import key_of
from fhir_server.search.sql import Sql
from fhir_server.search.version_page import read_by_version
from hie.core.errors import MalformedSearchError

# Below this an estimate costs no less than counting.
_COUNTED: Final = 10_000


def read_page(
    connection: Connection[tuple[Any, ...]], plan: Plan | SystemPlan, query: Query, cursor: Cursor | None
) -> Page:
    """Return the matches behind `cursor`, the first page when it is None.

    Raises MalformedSearchError for a cursor of another order.
    """
    refusal = MalformedSearchError("`_cursor` is not one that this search gave out", expression="_cursor")
    if query.is_by_version:
        is_ascending = bool(query.sort) and not query.sort[0].is_descending
        if isinstance(cursor, KeyCursor):
            raise refusal
        return read_by_version(connection, plan, query.count, cursor, is_ascending=is_ascending)
    if isinstance(cursor, VersionCursor):
        raise refusal
    found = read_by_date(connection, plan, query.count, query.sort, cursor)
    if found is not None:
        return found
    return read_by_keys(connection, plan, query.count, [key_of(each) for each in query.sort], cursor)


def count(connection: Connection[tuple[Any, ...]], plan: Plan | SystemPlan, *, may_estimate: bool) -> int:
    """Return how many resources match; with `may_estimate` the planner's guess for large numbers."""
    found = plan.all(Bounds())
    if may_estimate:
        explained = execute(
            connection, Sql(f"EXPLAIN (FORMAT JSON) {found.text}", found.params), depends_on_values=True
        )
        guess = int(explained[0][0][0]["Plan"]["Plan Rows"])
        if guess >= _COUNTED:
            return guess
    counted = Sql(f"SELECT count(*) FROM ({found.text}) AS n", found.params)
    total: int = execute(connection, counted, depends_on_values=True)[0][0]
    return total
