"""Asks PostgreSQL whether conditions hold of one version of a resource, current or not: one statement.

The version's index rows go along as parameters and stand where a search has the index tables; other
resources, which chains and ``_has`` lead to, are those that are stored now. The comparisons are the search's
own (`fhir_server.search.predicates`).
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from psycopg import Connection
from psycopg.types.json import Jsonb
from sqlalchemy.dialects import postgresql

from fhir_server.index.hashing import reference_key
from fhir_server.index.rows import COLUMNS, NULLED, OPEN_END, OPEN_START
from fhir_server.search.conditions import (
    AllOf,
    AnyOf,
    Chain,
    Condition,
    ContainedIdIs,
    Has,
    HasInside,
    IdIn,
    IdIs,
    Inside,
    LastUpdatedIs,
    Not,
    Restriction,
)
from fhir_server.search.predicates import row_predicate, table_of
from fhir_server.search.probe import probe
from fhir_server.search.sql import Sql, all_of, any_of, joined
from fhir_server.subscriptions.holds import Version, holds
from fhir_server.tables import INDEX_TABLES
from hie.core.fhir.json import dumps

# Conditions in one statement at most: what PostgreSQL plans grows with it.
_MOST: Final = 100
_INDEX: Final = "ix_"
_OWN: Final = "own_"
_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no hints for it


def _types_of_columns() -> Iterator[tuple[str, str]]:
    for table in INDEX_TABLES:
        name = table.name.removeprefix(_INDEX)
        listed = (table.c[column] for column in COLUMNS[name])
        yield (
            name,
            ", ".join(f"{column.name} {column.type.compile(dialect=_DIALECT)}" for column in listed),
        )


_RECORDS: Final = dict(_types_of_columns())


def which_hold(
    connection: Connection[tuple[Any, ...]], questions: Sequence[tuple[Condition, ...]], version: Version
) -> set[int]:
    """Return the positions in `questions` of those whose conditions all hold of `version`."""
    found: set[int] = set()
    for begin in range(0, len(questions), _MOST):
        part = questions[begin : begin + _MOST]
        used: set[str] = set()
        selects = []
        for position, conditions in enumerate(part, start=begin):
            where = all_of(_question(each, version, used) for each in conditions)
            selects.append(Sql(f"SELECT {position} WHERE {where.text}", where.params))
        union = joined(" UNION ALL ", selects)
        own = [_own_rows(name, version) for name in sorted(used)]
        head = Sql("WITH " + ", ".join(each.text for each in own) + " ") if own else Sql("")
        params = (*(param for each in own for param in each.params), *union.params)
        found.update(row[0] for row in connection.execute(head.text + union.text, params))
    return found


def _question(condition: Condition, version: Version, used: set[str]) -> Sql:  # noqa: PLR0911 - a case a kind
    """Return whether `condition` holds; `used` collects the tables whose rows must go along."""
    known = holds(condition, version)
    if known is not None:
        return Sql("true" if known else "false")
    match condition:
        case AllOf():
            every = all_of(_question(each, version, used) for each in condition.conditions)
            return Sql(f"({every.text})", every.params)
        case AnyOf():
            return any_of(_question(each, version, used) for each in condition.conditions)
        case Not():
            inner = _question(condition.condition, version, used)
            return Sql(f"NOT ({inner.text})", inner.params)
        case Chain():
            used.add("reference")
            inner = probe(condition.condition, "t", 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM {_OWN}reference y JOIN resource t ON t.key_hash = y.target_hash"
                f" AND t.type = %s AND NOT t.is_deleted WHERE y.param = %s AND ({inner.text}))",
                (condition.target, condition.param, *inner.params),
            )
        case Has():
            inner = probe(condition.condition, "y", 1)
            return Sql(
                f"EXISTS (SELECT 1 FROM ix_reference y WHERE y.param = %s AND y.target_hash = %s"
                f" AND ({inner.text}))",
                (condition.param, reference_key(version.resource_type, version.id), *inner.params),
            )
        case Inside():
            # What is contained may be linked to anything: asked of the version that is stored now.
            inner = probe(condition, "r")
            return Sql(
                f"EXISTS (SELECT 1 FROM resource r WHERE r.key_hash = %s AND ({inner.text}))",
                (reference_key(version.resource_type, version.id), *inner.params),
            )
        case Restriction() | IdIs() | IdIn() | LastUpdatedIs() | ContainedIdIs() | HasInside():
            raise AssertionError(condition)  # known, in an Inside, or (IdIn) no search parameter's
        case _:
            name = table_of(condition).removeprefix(_INDEX)
            used.add(name)
            where = row_predicate(condition, "x")
            return Sql(f"EXISTS (SELECT 1 FROM {_OWN}{name} x WHERE {where.text})", where.params)


def _own_rows(name: str, version: Version) -> Sql:
    """Return the rows of `version` for the index table `name` as a table expression."""
    columns = COLUMNS[name]
    records = [
        {
            column: _plain(value)
            for column, value in zip(columns, row, strict=True)
            if value is not None and not (value == 0 and (name, column) in NULLED)
        }
        for row in version.rows.of(name)
    ]
    return Sql(
        f"{_OWN}{name} AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(%s) AS r ({_RECORDS[name]}))",
        (Jsonb(records, dumps=dumps),),
    )


def _plain(value: object) -> object:
    """Return `value` as JSON that PostgreSQL reads as what the index table would hold."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        if value <= OPEN_START:
            return "-infinity"
        return "infinity" if value >= OPEN_END else value.isoformat()
    return value
