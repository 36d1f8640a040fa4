"""Reads compartments whole, page by page, and what their resources refer to: the data of $everything.

The order is that of the resources the compartments are named after, by id; in a compartment that
resource first, then the others from the last created to the first. Neither ids nor the order of
creation ever change, so pages are stable under writes: each resource is seen once, what is changed
meanwhile is seen as it is, and what is created meanwhile stays out of the compartments already begun.
https://hl7.org/fhir/R4/patient-operation-everything.html
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import Connection

from fhir_server.index.hashing import reference_key
from fhir_server.search.sql import Sql, all_of
from fhir_server.store.bodies import open_rows, open_stored
from fhir_server.store.identity import TYPE_NAME
from hie.core.ports import StoredResource

# All bodies of one page together, as PostgreSQL stores them (compressed).
_MOST_BYTES: Final = 32 * 1024 * 1024
FROM_THE_START: Final = 2**63 - 1

_ALWAYS: Final = all_of(())
_LOOK: Final = (
    "CROSS JOIN LATERAL (SELECT * FROM resource WHERE rid = m.rid AND NOT is_deleted OFFSET 0) AS r"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind the resource `before` of the compartment of `id` (see FROM_THE_START)."""

    id: str = ""
    before: int = FROM_THE_START


@dataclass(frozen=True, slots=True)
class Care:
    """A span of care, [start, end), by the dates `params` of resources of `types`; None: open."""

    types: Sequence[int]
    params: Sequence[int]
    start: datetime | None
    end: datetime | None

    def covers(self, row: str) -> Sql:
        """Return whether the resource `row` is of the span; one of other types or without a date is."""
        bounds = [Sql("d.lo < %s", (self.end,))] if self.end is not None else []
        bounds += [Sql("d.hi > %s", (self.start,))] if self.start is not None else []
        within = all_of(bounds)
        return Sql(
            f"({row}.type <> ALL(%s::smallint[]) OR coalesce((SELECT bool_or({within.text}) FROM ix_date d"
            f" WHERE d.rid = {row}.rid AND d.param = ANY(%s::int[])), true))",
            (list(self.types), *within.params, list(self.params)),
        )


@dataclass(frozen=True, slots=True)
class Compartments:
    """The compartments to read, and what of them.

    `owner` is the type number they are named after, `ids` their ids, None for all; `types` are those
    that are read, `numbers` the reference parameters by which they belong; `shown` says of a row "r" of
    `resource` whether it is asked for. With `keeps_hidden`, what is not asked for is read too, for the
    sake of what it refers to.
    """

    owner: int
    ids: Sequence[str] | None
    types: Sequence[str]
    numbers: Sequence[int]
    shown: Sql
    keeps_hidden: bool


class Member(NamedTuple):
    """A resource of the compartment of `owner`, as it is stored; `is_own`: it is the owner itself."""

    owner: str
    rid: int
    type: int
    id: str
    is_own: bool
    is_shown: bool
    body: bytes

    @property
    def place(self) -> Place:
        """The place behind it."""
        return Place(self.owner, FROM_THE_START - 1 if self.is_own else self.rid)


def read_members(
    connection: Connection[tuple[Any, ...]],
    wanted: Compartments,
    readable: Sql,
    start: Place,
    count: int,
    *,
    most_bytes: int = _MOST_BYTES,
) -> tuple[list[Member], bool]:
    """Return at most `count` members from `start` on, and whether there are more.

    All but the first end where their bodies, as they are stored, are more than `most_bytes` together.
    `readable` says of a row "r" of `resource` whether the requester may read it.
    """
    owners = Sql("s.type = %s AND NOT s.is_deleted AND s.id >= %s", (wanted.owner, start.id))
    if wanted.ids is not None:
        owners = all_of([owners, Sql("s.id = ANY(%s::text[])", (list(wanted.ids),))])
    is_behind = _ALWAYS
    if start.before != FROM_THE_START:
        is_behind = Sql(
            "(o.id > %s OR (m.rid <> o.rid AND m.rid < %s))",
            (start.id, start.before),
        )
    is_shown, kept = wanted.shown, readable
    if not wanted.keeps_hidden:
        is_shown, kept = _ALWAYS, all_of(each for each in (readable, wanted.shown) if each != _ALWAYS)
    # Index rows are those of resources that are not deleted: without a condition there is nothing to look at.
    look = "" if is_shown == kept == _ALWAYS else _LOOK
    # OFFSET 0 keeps each look-up a walk down an index. Bodies of what is beyond the page are not touched.
    rows = connection.execute(
        f"""
SELECT w.owner, w.rid, w.type, w.id, w.is_own, w.is_shown, w.body, w.version, w.size
FROM (
    SELECT n.*, r.type, r.id, r.version, r.body,
        sum(pg_column_size(r.body)) OVER (ORDER BY n.n ROWS UNBOUNDED PRECEDING) AS bytes
    FROM (
        SELECT p.*, count(*) OVER () AS size,
            row_number() OVER (ORDER BY p.owner, p.is_own DESC, p.rid DESC) AS n
        FROM (
            SELECT o.id AS owner, m.rid, m.rid = o.rid AS is_own, {is_shown.text} AS is_shown
            FROM (SELECT s.rid, s.id, s.key_hash FROM resource s WHERE {owners.text} ORDER BY s.id) AS o
            CROSS JOIN LATERAL (
                SELECT y.rid FROM ix_reference y WHERE y.param = ANY(%s::int[]) AND y.target_hash = o.key_hash
                UNION SELECT o.rid
            ) AS m
            {look}
            WHERE {is_behind.text} AND {kept.text}
            ORDER BY o.id, is_own DESC, m.rid DESC LIMIT %s
        ) AS p
    ) AS n
    CROSS JOIN LATERAL (SELECT * FROM resource WHERE rid = n.rid OFFSET 0) AS r
    WHERE n.n <= %s
) AS w
WHERE w.n = 1 OR w.bytes <= %s
ORDER BY w.n
""",
        (
            *is_shown.params,
            *owners.params,
            list(wanted.numbers),
            *is_behind.params,
            *kept.params,
            count + 1,
            count,
            most_bytes,
        ),
        binary=True,
    ).fetchall()
    bodies = open_rows(
        connection, [(kind, id_, version, body) for _, _, kind, id_, _, _, body, version, _ in rows]
    )
    members = [Member._make((*row[:6], body or b"")) for row, body in zip(rows, bodies, strict=True)]
    return members, bool(rows) and rows[0][-1] > len(rows)


@dataclass(frozen=True, slots=True)
class Supporting:
    """What may come along with members of compartments: resources that they refer to.

    None of them is a member itself (by `numbers` of the compartments `owners`, hashes of "Type/id").
    Where `patients` is given, none belongs to the compartment of another patient by `patient_numbers`.
    """

    numbers: Sequence[int]
    owners: Sequence[int]
    patient_type: int
    patient_numbers: Sequence[int]
    patients: Sequence[int] | None
    shown: Sql


def read_referenced(
    connection: Connection[tuple[Any, ...]],
    targets: Iterable[tuple[str, str]],
    wanted: Supporting,
    readable: Sql,
) -> list[StoredResource]:
    """Return the current resources among `targets`, types and ids, that may come along, last created first.

    `readable` is that of `read_members`.
    """
    where = [
        readable,
        wanted.shown,
        Sql(
            "r.key_hash <> ALL(%s::bigint[]) AND NOT EXISTS (SELECT 1 FROM ix_reference y WHERE y.rid = r.rid"
            " AND y.param = ANY(%s::int[]) AND y.target_hash = ANY(%s::bigint[]) OFFSET 0)",
            (list(wanted.owners), list(wanted.numbers), list(wanted.owners)),
        ),
    ]
    if wanted.patients is not None:
        where.append(
            Sql(
                "(r.type <> %s OR r.key_hash = ANY(%s::bigint[]))"
                " AND NOT EXISTS (SELECT 1 FROM ix_reference y WHERE y.rid = r.rid"
                " AND y.param = ANY(%s::int[]) AND y.target_type = %s"
                " AND y.target_hash <> ALL(%s::bigint[]) OFFSET 0)",
                (
                    wanted.patient_type,
                    list(wanted.patients),
                    list(wanted.patient_numbers),
                    wanted.patient_type,
                    list(wanted.patients),
                ),
            )
        )
    kept = all_of(where)
    rows = connection.execute(
        f"""
SELECT r.type, r.id, r.version, r.last_updated, r.body
FROM unnest(%s::bigint[]) AS k (key_hash)
CROSS JOIN LATERAL (SELECT * FROM resource WHERE key_hash = k.key_hash AND NOT is_deleted OFFSET 0) AS r
WHERE {kept.text} ORDER BY r.rid DESC
""",
        ([reference_key(*target) for target in targets], *kept.params),
        binary=True,
    ).fetchall()
    return open_stored(
        connection,
        [
            StoredResource(TYPE_NAME[kind], identifier, version, last_updated, body)
            for kind, identifier, version, last_updated, body in rows
        ],
    )


def read_targets(
    connection: Connection[tuple[Any, ...]], resource_type: int, resource_id: str, target_type: int
) -> list[int]:
    """Return the hashes of the resources of `target_type` that a current resource refers to."""
    rows = connection.execute(
        "SELECT DISTINCT y.target_hash FROM resource r JOIN ix_reference y USING (rid)"
        " WHERE r.type = %s AND r.id = %s AND y.target_type = %s",
        (resource_type, resource_id, target_type),
    ).fetchall()
    return [target for (target,) in rows]
