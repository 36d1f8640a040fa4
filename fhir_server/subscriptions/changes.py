"""The changes that an outbox event names, with the versions before and after each: one query.

Read for matching only and on behalf of nobody; what a subscriber is shown goes through the repository.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection

from fhir_server.index.indexer import Indexer
from fhir_server.store.arrays import Ints, SmallInts, Texts
from fhir_server.store.bodies import open_rows
from fhir_server.store.identity import TYPE_NUMBER
from fhir_server.subscriptions.holds import Version
from fhir_server.subscriptions.topic import Interaction
from hie.core.fhir.json import JsonObject, loads

_READ: Final = """
SELECT k.type, k.id, v.version, v.body, k.n, v.version = k.version, v.last_updated
FROM unnest(%s, %s, %s, %s) AS k (n, type, id, version)
CROSS JOIN LATERAL (SELECT rid FROM resource WHERE type = k.type AND id = k.id OFFSET 0) AS r
CROSS JOIN LATERAL (
    SELECT c.version, c.last_updated, c.body FROM resource c
    WHERE c.rid = r.rid AND c.version IN (k.version, k.version - 1)
    UNION ALL
    SELECT h.version, h.last_updated, h.body FROM resource_history h
    WHERE h.rid = r.rid AND h.version IN (k.version, k.version - 1)
) AS v
ORDER BY k.n
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `current` is None for a deletion, `previous` where there was nothing before."""

    resource_type: str
    id: str
    number: int
    method: str
    current: Version | None
    previous: Version | None

    @property
    def interaction(self) -> Interaction:
        """What the change is to those who look from outside: what was deleted is created anew."""
        if self.current is None:
            return "delete"
        return "create" if self.previous is None else "update"

    @property
    def focus(self) -> Version | None:
        """The version that filters look at: the last one that there is."""
        return self.current or self.previous


def read_changes(
    connection: Connection[tuple[Any, ...]], indexer: Indexer, changes: Sequence[JsonObject]
) -> list[Change]:
    """Return `changes` (``{"type", "id", "version", "method"}``) in order, less what is no longer stored."""
    found: dict[int, dict[bool, Version | None]] = {}
    rows = connection.execute(
        _READ,
        (
            Ints(range(len(changes))),
            SmallInts([TYPE_NUMBER[each["type"]] for each in changes]),
            Texts([each["id"] for each in changes]),
            Ints([each["version"] for each in changes]),
        ),
        binary=True,
    ).fetchall()
    bodies = open_rows(connection, [row[:4] for row in rows])
    for (*_, position, is_current, last_updated), body in zip(rows, bodies, strict=True):
        change = changes[position]
        version = None
        if body is not None:
            resource: JsonObject = loads(body)
            number = change["version"] if is_current else change["version"] - 1
            rows_of = indexer.index(resource)
            version = Version(change["type"], change["id"], number, last_updated, resource, rows_of)
        found.setdefault(position, {})[is_current] = version
    return list(_changes(changes, found))


def _changes(changes: Sequence[JsonObject], found: dict[int, dict[bool, Version | None]]) -> Iterable[Change]:
    for position, versions in found.items():
        if True in versions:
            change = changes[position]
            current, previous = versions[True], versions.get(False)
            if current is not None or previous is not None:
                yield Change(
                    change["type"], change["id"], change["version"], change["method"], current, previous
                )
