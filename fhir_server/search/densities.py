"""How many rows a condition has, counted up to a cap and remembered for a while.

What is remembered decides how a search is evaluated, never what it finds: a count that is out of
date costs time. Safe to share between threads.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Final

from psycopg import Connection

from fhir_server.search.compile import density_probe
from fhir_server.search.conditions import Condition
from fhir_server.search.match import execute
from fhir_server.search.probe import depends_on_values, has_join, rows
from fhir_server.search.sql import Sql

# A condition that has n of N resources costs n to collect, and a walk of N/n for each match of a
# page: up to the square root of (page x N) collecting is cheaper (1,414 of 100,000, 4,472 of a million).
# Indexes hold what is collected, a step of a walk reads tables: rounded up to a power of two, which
# also keeps the text of statements the same while a store grows.
_CAP: Final = Sql(
    "SELECT greatest(500, sqrt(20 * greatest(reltuples, 0)))::bigint"
    " FROM pg_class WHERE oid = 'resource'::regclass"
)
_FRESH_SECONDS: Final = 10.0
# Half a kilobyte each.
_MOST_REMEMBERED: Final = 4_000
# With so few resources to look at, nothing is won by knowing how many a chain leads to.
_FEW: Final = 64

_Key = tuple[int, Condition]


class Densities:
    """Counts the rows of conditions; `monotonic` measures seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begin with nothing known."""
        self._monotonic = monotonic
        self._lock = Lock()
        self._cap: tuple[float, int] | None = None
        self._known: OrderedDict[_Key, tuple[float, int]] = OrderedDict()

    def cap(self, connection: Connection[tuple[Any, ...]]) -> int:
        """Return up to how many rows are counted."""
        now = self._monotonic()
        known = self._cap
        if known is None or now >= known[0]:
            (least,) = execute(connection, _CAP)[0]
            known = self._cap = (now + _FRESH_SECONDS, 1 << (int(least) - 1).bit_length())
        return known[1]

    def counts(
        self, connection: Connection[tuple[Any, ...]], type_number: int, conditions: Sequence[Condition]
    ) -> Mapping[int, int]:
        """Return the rows of `conditions` by position, up to the cap.

        Left out are those that no index collects and, where another has few, those that lead
        through references. At least one of `conditions` must be collectable.
        """
        collectable = [at for at, each in enumerate(conditions) if rows(each, type_number) is not None]
        plain = [at for at in collectable if not has_join(conditions[at])]
        found = self._look(connection, type_number, conditions, plain)
        if len(plain) < len(collectable) and min(found.values(), default=_FEW) >= _FEW:
            chained = [at for at in collectable if at not in found]
            found |= self._look(connection, type_number, conditions, chained)
        return found

    def _look(
        self,
        connection: Connection[tuple[Any, ...]],
        type_number: int,
        conditions: Sequence[Condition],
        positions: Sequence[int],
    ) -> dict[int, int]:
        now = self._monotonic()
        found: dict[int, int] = {}
        with self._lock:
            for at in positions:
                known = self._known.get((type_number, conditions[at]))
                if known is not None and now < known[0]:
                    found[at] = known[1]
        missing = [at for at in positions if at not in found]
        if not missing:
            return found
        wanted = [conditions[at] for at in missing]
        statement = density_probe(type_number, wanted, self.cap(connection))
        skewed = any(depends_on_values(each) for each in wanted)
        counted = execute(connection, statement, depends_on_values=skewed)[0]
        with self._lock:
            for at, count in zip(missing, counted, strict=True):
                found[at] = count
                self._known[type_number, conditions[at]] = (now + _FRESH_SECONDS, count)
                self._known.move_to_end((type_number, conditions[at]))
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return found
