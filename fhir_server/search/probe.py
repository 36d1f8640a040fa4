"""What a condition selects (`rows`), asks of one resource (`probe`), and reads newest first (`branches`).

A condition is asked of one resource by a complete index key (param, hash, seq)
or by `rid`; there is no EXISTS around an INTERSECT, which PostgreSQL plans
badly. Which form a search begins with is for `compile`.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from typing import Final, NamedTuple

from fhir_server.search.composite_predicate import combination_predicate, is_whole
from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Chain,
    CompositeIs,
    Condition,
    DateIs,
    Has,
    IdIs,
    LastUpdatedIs,
    Not,
    ReferenceIs,
    TokenIs,
    UriIs,
)
from fhir_server.search.predicates import (
    RowCondition,
    branches_of,
    instant_predicate,
    row_alternatives,
    row_predicate,
    table_of,
)
from fhir_server.search.sql import Sql, all_of, any_of, joined

# More alternatives than this are collected instead of merged.
_MOST_BRANCHES: Final = 32


class Branch(NamedTuple):
    """One range of an index that is newest first: the table, and what is true of its rows ``x``."""

    table: str
    where: Sql


def rows(condition: Condition, type_number: int) -> Sql | None:  # noqa: C901, PLR0911 - a case a kind
    """Return a SELECT of (rid, seq), maybe repeated, of all that satisfy `condition`.

    None where there is no index to collect them from.
    """
    match condition:
        case Not():
            return None
        case LastUpdatedIs():
            either = _last_updated(condition, "r")
            return Sql(
                f"SELECT r.rid, r.seq FROM resource r WHERE r.type = %s AND {either.text}"
                " AND NOT r.is_deleted",
                (type_number, *either.params),
            )
        case IdIs():
            return Sql(
                "SELECT r.rid, r.seq FROM resource r WHERE r.type = %s AND r.id = ANY(%s::text[])"
                " AND NOT r.is_deleted",
                (type_number, list(condition.ids)),
            )
        case AnyOf():
            parts = [rows(each, type_number) for each in condition.conditions]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            return (
                joined(" UNION ALL ", known)
                if known
                else Sql("SELECT 0::bigint AS rid, 0::bigint AS seq WHERE false")
            )
        case AllOf():
            return _all_rows(condition, type_number)
        case Chain():
            inner = rows(condition.condition, condition.target)
            if inner is None:
                return None
            return Sql(
                f"SELECT y.rid, y.seq FROM ({inner.text}) AS i"
                " JOIN resource t ON t.rid = i.rid AND t.type = %s"
                " JOIN ix_reference y ON y.param = %s AND y.target_hash = t.key_hash",
                (*inner.params, condition.target, condition.param),
            )
        case Has():
            inner = rows(condition.condition, condition.source)
            if inner is None:
                return None
            return Sql(
                f"SELECT t.rid, t.seq FROM ({inner.text}) AS i"
                " JOIN ix_reference y ON y.rid = i.rid AND y.param = %s"
                " JOIN resource t ON t.key_hash = y.target_hash AND t.type = %s AND NOT t.is_deleted",
                (*inner.params, condition.param, condition.own),
            )
        case _:
            table = table_of(condition)
            return joined(
                " UNION ALL ",
                (
                    Sql(f"SELECT x.rid, x.seq FROM {table} x WHERE {where.text}", where.params)
                    for where in row_alternatives(condition, "x")
                ),
            )


def probe(condition: Condition, of: str, depth: int = 0) -> Sql:  # noqa: PLR0911 - one a kind of condition
    """Return whether `condition` holds for the resource version (rid, seq) under the alias `of`."""
    row, target = f"y{depth}", f"t{depth}"
    match condition:
        case Not():
            inner = probe(condition.condition, of, depth)
            return Sql(f"NOT {inner.text}", inner.params)
        case AnyOf():
            return any_of(probe(each, of, depth) for each in condition.conditions)
        case AllOf():
            return all_of(probe(each, of, depth) for each in condition.conditions)
        case IdIs():
            return _of_resource(of, row, Sql(f"{row}.id = ANY(%s::text[])", (list(condition.ids),)))
        case LastUpdatedIs():
            either = _last_updated(condition, row)
            return _of_resource(of, row, either)
        case Chain():
            inner = probe(condition.condition, target, depth + 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM ix_reference {row} JOIN resource {target}"
                f" ON {target}.key_hash = {row}.target_hash AND {target}.type = %s"
                f" AND NOT {target}.is_deleted"
                f" WHERE {row}.rid = {of}.rid AND {row}.param = %s AND {inner.text})",
                (condition.target, condition.param, *inner.params),
            )
        case Has():
            inner = probe(condition.condition, row, depth + 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM resource {target} JOIN ix_reference {row}"
                f" ON {row}.param = %s AND {row}.target_hash = {target}.key_hash"
                f" WHERE {target}.rid = {of}.rid AND {inner.text})",
                (condition.param, *inner.params),
            )
        case _:
            return _of_row(condition, of, row)


def _last_updated(condition: LastUpdatedIs, row: str) -> Sql:
    return any_of(instant_predicate(each, f"{row}.last_updated") for each in condition.values)


def _of_row(condition: RowCondition, of: str, row: str) -> Sql:
    where = row_predicate(condition, row)
    by = "seq" if branches(condition) else "rid"
    # OFFSET 0 keeps the planner from turning the question into a join over all rows.
    return Sql(
        f"EXISTS (SELECT 1 FROM {table_of(condition)} {row}"
        f" WHERE {row}.{by} = {of}.{by} AND {where.text} OFFSET 0)",
        where.params,
    )


def _of_resource(of: str, row: str, where: Sql) -> Sql:
    return Sql(
        f"EXISTS (SELECT 1 FROM resource {row} WHERE {row}.rid = {of}.rid AND {where.text} OFFSET 0)",
        where.params,
    )


def branches(condition: Condition) -> list[Branch]:
    """Return the index ranges whose union, each newest first, is what `condition` selects; empty for none."""
    if isinstance(condition, AnyOf):
        parts = [branches(each) for each in condition.conditions]
        found = [branch for part in parts for branch in part] if all(parts) else []
    elif isinstance(condition, (TokenIs, ReferenceIs, UriIs)):
        table = table_of(condition)
        found = [Branch(table, where) for where in branches_of(condition, "x")]
    elif isinstance(condition, CompositeIs) and all(each.key_hash is not None for each in condition.values):
        found = [
            Branch("ix_composite", combination_predicate(condition.param, each, "x"))
            for each in condition.values
        ]
    else:
        found = []
    return found if len(found) <= _MOST_BRANCHES else []


def is_dense(condition: Condition) -> bool:
    """Return whether each row of the ranges of `branches` satisfies `condition`, so that a page needs few."""
    match condition:
        case AnyOf():
            return all(is_dense(each) for each in condition.conditions)
        case CompositeIs():
            return all(is_whole(each) for each in condition.values)
        case _:
            return True


def _all_rows(condition: AllOf, type_number: int) -> Sql | None:
    for at, each in enumerate(condition.conditions):
        found = rows(each, type_number)
        if found is not None:
            others = [other for number, other in enumerate(condition.conditions) if number != at]
            where = all_of(probe(other, "a") for other in others)
            return Sql(
                f"SELECT a.rid, a.seq FROM ({found.text} OFFSET 0) AS a WHERE {where.text}",
                found.params + where.params,
            )
    return None


def has_join(condition: Condition) -> bool:
    """Return whether `condition` leads through a reference."""
    match condition:
        case Chain() | Has():
            return True
        case Not():
            return has_join(condition.condition)
        case AnyOf() | AllOf():
            return any(has_join(each) for each in condition.conditions)
        case _:
            return False


def depends_on_values(condition: Condition) -> bool:
    """Return whether the best plan for `condition` is another one for other values.

    So it is where a range could be read from either end or newest first, and where joins may begin
    on either side.
    """
    match condition:
        case Chain() | Has() | DateIs():
            return True
        case CompositeIs():
            return not is_dense(condition)
        case Not():
            return depends_on_values(condition.condition)
        case AnyOf() | AllOf():
            return any(depends_on_values(each) for each in condition.conditions)
        case _:
            return False
