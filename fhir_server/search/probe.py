"""What a condition selects (`rows`), asks of one resource (`probe`), and reads newest first (`branches`).

A condition is asked of one resource by a complete index key (param, hash, seq)
or by `rid`; there is no EXISTS around an INTERSECT, which PostgreSQL plans
badly. Which form a search begins with is for `compile`.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from fhir_server.search.composite_predicate import combination_predicate, is_whole
from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Chain,
    CompositeIs,
    Condition,
    ContainedIdIs,
    DateIs,
    Has,
    HasInside,
    IdIn,
    IdIs,
    Inside,
    LastUpdatedIs,
    Not,
    ReferenceIs,
    Restriction,
    TextIs,
    TokenIs,
    UriIs,
)
from fhir_server.search.contained_predicates import (
    correlated,
    has_inside_probe,
    has_inside_rows,
    ids_probe,
    ids_rows,
    inside_probe,
    inside_rows,
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
# Of some 20 kB each, where a policy is as long as it gets.
_MOST_RESTRICTIONS: Final = 2_048


class Branch(NamedTuple):
    """One range of an index that is newest first: the table, and what is true of its rows ``x``."""

    table: str
    where: Sql


def rows(  # noqa: C901, PLR0911, PLR0912 - a case a kind
    condition: Condition, type_number: int
) -> Sql | None:
    """Return a SELECT of (rid, seq), maybe repeated, of all that satisfy `condition`.

    None where there is no index to collect them from.
    """
    match condition:
        case Restriction():
            return rows(condition.condition, type_number)
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
        case IdIn():
            return Sql(
                "SELECT r.rid, r.seq FROM resource r WHERE r.type = %s"
                f" AND r.id IN ({condition.select}) AND NOT r.is_deleted",
                (type_number, *condition.values),
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
            # Step by step from what was counted as few: OFFSET 0 keeps a plan that is made for any values
            # from joining all there is.
            return Sql(
                f"SELECT y.rid, y.seq FROM ({inner.text}) AS i CROSS JOIN LATERAL"
                " (SELECT t.key_hash FROM resource t WHERE t.rid = i.rid AND t.type = %s OFFSET 0) AS t"
                " CROSS JOIN LATERAL (SELECT y.rid, y.seq FROM ix_reference y"
                " WHERE y.param = %s AND y.target_hash = t.key_hash OFFSET 0) AS y",
                (*inner.params, condition.target, condition.param),
            )
        case Has():
            inner = rows(condition.condition, condition.source)
            if inner is None:
                return None
            return Sql(
                f"SELECT t.rid, t.seq FROM ({inner.text}) AS i CROSS JOIN LATERAL"
                " (SELECT y.target_hash FROM ix_reference y"
                " WHERE y.rid = i.rid AND y.param = %s OFFSET 0) AS y"
                " CROSS JOIN LATERAL (SELECT t.rid, t.seq FROM resource t"
                " WHERE t.key_hash = y.target_hash AND t.type = %s AND NOT t.is_deleted OFFSET 0) AS t",
                (*inner.params, condition.param, condition.own),
            )
        case ContainedIdIs():
            return ids_rows(condition, type_number)
        case Inside():
            inner = rows(condition.condition, condition.target)
            return None if inner is None else inside_rows(condition, inner)
        case HasInside():
            inner = rows(condition.condition, condition.source)
            return None if inner is None else has_inside_rows(condition, inner)
        case TextIs(unindexed=versions) if versions:
            rids, seqs = zip(*versions, strict=True)
            found = rows(replace(condition, unindexed=()), type_number)
            return joined(
                " UNION ALL ",
                [
                    *([found] if found is not None else []),
                    Sql(
                        "SELECT r.rid, r.seq FROM resource r"
                        " WHERE r.rid = ANY(%s::bigint[]) AND r.seq = ANY(%s::bigint[])",
                        (list(rids), list(seqs)),
                    ),
                ],
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


def probe(condition: Condition, of: str, depth: int = 0) -> Sql:  # noqa: C901, PLR0911, PLR0912 - a case a kind
    """Return whether `condition` holds for the resource version (rid, seq) under the alias `of`."""
    row, target = f"y{depth}", f"t{depth}"
    match condition:
        case Restriction():
            return _restriction(condition, of, depth)
        case Not():
            inner = probe(condition.condition, of, depth)
            return Sql(f"NOT ({inner.text})", inner.params)
        case AnyOf():
            found = [probe(each, of, depth) for each in condition.conditions]
            is_mixed = any(isinstance(each, Inside) for each in condition.conditions)
            return any_of(correlated(each) for each in found) if is_mixed else any_of(found)
        case AllOf():
            return all_of(probe(each, of, depth) for each in condition.conditions)
        case IdIs():
            return _of_resource(of, row, Sql(f"{row}.id = ANY(%s::text[])", (list(condition.ids),)))
        case IdIn():
            # As a join of the one id: the select is then asked for that id, not in full.
            return Sql(
                f"EXISTS (SELECT 1 FROM resource {row} JOIN ({condition.select}) AS l{depth}(id)"
                f" ON l{depth}.id = {row}.id WHERE {row}.rid = {of}.rid)",
                condition.values,
            )
        case LastUpdatedIs():
            either = _last_updated(condition, row)
            return _of_resource(of, row, either)
        case Chain():
            inner = probe(condition.condition, target, depth + 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM ix_reference {row} JOIN resource {target}"
                f" ON {target}.key_hash = {row}.target_hash AND {target}.type = %s"
                f" AND NOT {target}.is_deleted"
                f" WHERE {row}.rid = {of}.rid AND {row}.param = %s AND {inner.text} OFFSET 0)",
                (condition.target, condition.param, *inner.params),
            )
        case Has():
            inner = probe(condition.condition, row, depth + 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM resource {target} JOIN ix_reference {row}"
                f" ON {row}.param = %s AND {row}.target_hash = {target}.key_hash"
                f" WHERE {target}.rid = {of}.rid AND {inner.text} OFFSET 0)",
                (condition.param, *inner.params),
            )
        case ContainedIdIs():
            return ids_probe(condition, of, row)
        case Inside():
            return inside_probe(condition, probe(condition.condition, target, depth + 1), of, row, target)
        case HasInside():
            return has_inside_probe(condition, probe(condition.condition, row, depth + 1), of, row, target)
        case TextIs(unindexed=versions) if versions:
            indexed = _of_row(condition, of, row)
            return Sql(
                f"({indexed.text} OR {of}.seq = ANY(%s::bigint[]))",
                (*indexed.params, [seq for _, seq in versions]),
            )
        case _:
            return _of_row(condition, of, row)


@lru_cache(_MOST_RESTRICTIONS)
def _restriction(restriction: Restriction, of: str, depth: int) -> Sql:
    inner = probe(restriction.condition, of, depth)
    return Sql(f"({inner.text})", inner.params)


def _last_updated(condition: LastUpdatedIs, row: str) -> Sql:
    return any_of(instant_predicate(each, f"{row}.last_updated") for each in condition.values)


def _of_row(condition: RowCondition, of: str, row: str) -> Sql:
    where = row_predicate(condition, row)
    if branches(condition) and is_dense(condition):
        # OFFSET 0 keeps the planner from turning the question into a join over all rows.
        return Sql(
            f"EXISTS (SELECT 1 FROM {table_of(condition)} {row}"
            f" WHERE {row}.seq = {of}.seq AND {where.text} OFFSET 0)",
            where.params,
        )
    own = Sql(f"{row}.rid = {of}.rid")
    if isinstance(condition, CompositeIs) and branches(condition):
        keys = [each.key_hash for each in condition.values]
        own = Sql(
            f"{row}.seq = {of}.seq AND {row}.param = %s AND {row}.key_hash = ANY(%s::bigint[])",
            (condition.param, keys),
        )
    # The ranges are asked of the rows of the one resource: a plan that is made for any values takes a
    # range for small, and would read all of it for each resource.
    return Sql(
        f"EXISTS (SELECT 1 FROM (SELECT * FROM {table_of(condition)} {row} WHERE {own.text} OFFSET 0)"
        f" AS {row} WHERE {where.text})",
        own.params + where.params,
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
        case Chain() | Has() | Inside() | HasInside():
            return True
        case Not() | Restriction():
            return has_join(condition.condition)
        case AnyOf() | AllOf():
            return any(has_join(each) for each in condition.conditions)
        case _:
            return False


def depends_on_values(condition: Condition) -> bool:
    """Return whether the best plan for `condition` is another one for other values.

    So it is where a range can be read from either end, and where joins with contained resources may
    begin on either side.
    """
    match condition:
        case Inside() | HasInside():
            return True
        case DateIs():
            return any(each.prefix == "ap" for each in condition.values)
        case Chain() | Has() | Not() | Restriction():
            return depends_on_values(condition.condition)
        case AnyOf() | AllOf():
            return any(depends_on_values(each) for each in condition.conditions)
        case _:
            return False


def is_collectable(condition: Condition) -> bool:
    """Return whether `rows` finds an index to collect from, without the text of it."""
    match condition:
        case Not():
            return False
        case AnyOf():
            return all(is_collectable(each) for each in condition.conditions)
        case AllOf():
            return any(is_collectable(each) for each in condition.conditions)
        case Chain() | Has() | Inside() | HasInside() | Restriction():
            return is_collectable(condition.condition)
        case _:
            return True


def is_newest_first(condition: Condition) -> bool:
    """Return whether an index has what `condition` selects, and nothing else, newest first."""
    return is_dense(condition) and bool(branches(condition))
