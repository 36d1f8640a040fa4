"""How many rows a condition has, counted up to a limit and remembered for a while.

What is remembered decides how a search is evaluated, never what it finds: a count that is out of
date costs time. Safe to share between threads.
"""
# ruff: noqa: S608 - the text is made of names of ours, every value is a parameter

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from math import log2
from threading import Lock
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.conditions import Condition
from fhir_server.search.match import execute
from fhir_server.search.probe import (
    branches,
    depends_on_values,
    has_join,
    is_collectable,
    is_newest_first,
    rows,
)
from fhir_server.search.sql import Sql, joined

# So many rows are counted at first: 60 µs, a twentieth of what counting to the cap takes at a million.
FIRST: Final = 512
# A condition that n of N resources satisfy costs n steps of 0.25 µs to collect, and a walk 20 N/n steps of
# 2.5 µs, which read tables: up to the square root of 200 N collecting is cheaper. Rounded to a power of
# two, which keeps the text of statements the same while a store grows.
_CAP: Final = """
SELECT greatest(%s, sqrt(200 * c.reltuples * coalesce((
    SELECT m.share FROM pg_stats s,
      unnest(s.most_common_vals::text::int[], s.most_common_freqs) AS m (type, share)
    WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = 'type' AND m.type = %s
), 0)))::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = 'resource'::regclass AND c.reltuples > 0
"""
_FRESH_SECONDS: Final = 60.0
# Half a kilobyte each.
_MOST_REMEMBERED: Final = 4_000
# With so few resources to look at, nothing is won by knowing how many a chain leads to.
_FEW: Final = 64


class Densities:
    """Counts the rows of conditions; `monotonic` measures seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begin with nothing known."""
        self._monotonic = monotonic
        self._lock = Lock()
        # By what was counted: until when it is known, up to how many it was counted, and the number.
        self._known: OrderedDict[Hashable, tuple[float, float, int]] = OrderedDict()

    def cap(self, connection: Connection[tuple[Any, ...]], type_number: int) -> int:
        """Return up to how many rows it is cheaper to collect resources of a type than to walk them."""
        found = self._remembered(type_number, 0)
        if found is None:
            counted = execute(connection, Sql(_CAP, (FIRST, type_number)))
            found = 1 << round(log2(counted[0][0])) if counted else FIRST
            self._remember(type_number, float("inf"), found)
        return found

    def counts(
        self,
        connection: Connection[tuple[Any, ...]],
        type_number: int,
        conditions: Sequence[Condition],
        limit: int = FIRST,
    ) -> Mapping[int, int]:
        """Return the rows of `conditions` by position, counted up to `limit`.

        Of a condition whose index is newest first it may be more: an estimate from how far back
        its FIRST newest rows reach. Left out are those that no index collects and, where another
        has few, those that lead through references. At least one of `conditions` must be collectable.
        """
        collectable = [at for at, each in enumerate(conditions) if is_collectable(each)]
        plain = [at for at in collectable if not has_join(conditions[at])]
        found = self._look(connection, type_number, conditions, plain, limit)
        if len(plain) < len(collectable) and min(found.values(), default=_FEW) >= _FEW:
            chained = [at for at in collectable if at not in found]
            found |= self._look(connection, type_number, conditions, chained, limit)
        return found

    def count(
        self,
        connection: Connection[tuple[Any, ...]],
        key: Hashable,
        statement: Callable[[], Sql],
        *,
        depends_on_values: bool,
    ) -> int:
        """Return the number that `statement` selects, remembered under `key`."""
        found = self._remembered(key, 0)
        if found is None:
            (found,) = execute(connection, statement(), depends_on_values=depends_on_values)[0]
            self._remember(key, float("inf"), found)
        return int(found)

    def _look(
        self,
        connection: Connection[tuple[Any, ...]],
        type_number: int,
        conditions: Sequence[Condition],
        positions: Sequence[int],
        limit: int,
    ) -> dict[int, int]:
        found: dict[int, int] = {}
        for at in positions:
            known = self._remembered((type_number, conditions[at]), limit)
            if known is not None:
                found[at] = known
        missing = [at for at in positions if at not in found]
        if not missing:
            return found
        wanted = [conditions[at] for at in missing]
        statement = density_probe(type_number, wanted, limit)
        joins = any(depends_on_values(each) for each in wanted)
        newest, *counted = execute(connection, statement, depends_on_values=joins)[0]
        for place, at in enumerate(missing):
            count, oldest = counted[2 * place : 2 * place + 2]
            is_estimate = is_newest_first(conditions[at])
            if is_estimate and count >= FIRST:
                count = max(count, count * newest // max(newest - oldest, 1))
            found[at] = count
            self._remember((type_number, conditions[at]), float("inf") if is_estimate else limit, count)
        return found

    def _remembered(self, key: Hashable, limit: int) -> int | None:
        """Return what is known of `key`, if it is all there is or was counted up to `limit`."""
        with self._lock:
            known = self._known.get(key)
        if known is None or self._monotonic() >= known[0] or known[2] >= known[1] < limit:
            return None
        return known[2]

    def _remember(self, key: Hashable, limit: float, count: int) -> None:
        with self._lock:
            self._known[key] = (self._monotonic() + _FRESH_SECONDS, limit, count)
            self._known.move_to_end(key)
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)


def density_probe(type_number: int, conditions: Sequence[Condition], limit: int) -> Sql:
    """Return a SELECT of the newest version, then how many rows each of `conditions` has and their oldest.

    Counted are up to `limit` rows; of conditions whose index is newest first the FIRST newest. Each must
    be one that `probe.rows` can collect.
    """
    newest = Sql(
        "(SELECT r.seq FROM resource r WHERE r.type = %s ORDER BY r.seq DESC LIMIT 1)", (type_number,)
    )
    counts, sources = [newest], []
    for at, condition in enumerate(conditions):
        found = _newest_rows(condition) if is_newest_first(condition) else None
        if found is None:
            every = rows(condition, type_number) or Sql("SELECT 0 AS rid, 0 AS seq WHERE false")
            found = Sql(f"{every.text} LIMIT {limit:d}", every.params)
        counts.append(Sql(f"n{at}.rows, n{at}.oldest"))
        sources.append(
            Sql(
                f"(SELECT count(*) AS rows, min(c.seq) AS oldest FROM ({found.text}) AS c) AS n{at}",
                found.params,
            )
        )
    listed, given = joined(", ", counts), joined(", ", sources)
    return Sql(f"SELECT {listed.text} FROM {given.text}", listed.params + given.params)


def _newest_rows(condition: Condition) -> Sql:
    order = f"ORDER BY x.seq DESC LIMIT {FIRST:d}"
    parts = [
        Sql(f"SELECT x.seq FROM {table} x WHERE {where.text} {order}", where.params)
        for table, where in branches(condition)
    ]
    if len(parts) == 1:
        return parts[0]
    union = joined(" UNION ALL ", [Sql(f"({each.text})", each.params) for each in parts])
    return Sql(f"SELECT x.seq FROM ({union.text}) AS x {order}", union.params)
