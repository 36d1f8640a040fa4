"""Makes the index rows of stored resources anew, a batch at a time: what the job `$reindex` drives.

Needed after a SearchParameter was stored, for the resources that were there before it. At the
end the parameters that were registered when it began become active. Resources that are written
meanwhile have their rows already; each batch locks its resources, so that none is written twice.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson
from psycopg import Connection

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import type_number
from fhir_server.index.indexer import Indexer
from fhir_server.index.rows import IndexRows
from fhir_server.search.stored_parameters import FRESH_SECONDS, StoredParameters
from fhir_server.store.bodies import open_rows
from fhir_server.store.write import Indexed, rewrite_index
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads

BATCH: Final = 500
_BATCH: Final = """
SELECT type, id, version, body, rid, seq FROM resource
WHERE rid > %s AND type = ANY(%s::smallint[]) AND NOT is_deleted
ORDER BY rid LIMIT %s FOR UPDATE
"""
# A process that does not know the parameter yet may still write; so wait until all have looked.
_AGE: Final = """
SELECT extract(epoch FROM clock_timestamp() - max(last_updated))::float8 FROM resource WHERE type = %s
"""
_ACTIVATE: Final = """
INSERT INTO active_search_parameter (resource_type, code, digest)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])
ON CONFLICT (resource_type, code) DO UPDATE SET digest = excluded.digest
"""
_GRACE_SECONDS: Final = 2 * FRESH_SECONDS


@dataclass(frozen=True, slots=True)
class Step:
    """What one call did: the resources it went over, and where the next begins (None: all is done).

    `wait_seconds` is how long the caller should wait before the next call.
    """

    cursor: str | None
    resources: int
    wait_seconds: float = 0.0


class Reindexer:
    """Drives an indexer over what is stored."""

    def __init__(self, indexer: Indexer, stored: StoredParameters) -> None:
        """Take the indexer, and what keeps its registry."""
        self._indexer = indexer
        self._stored = stored

    def step(
        self,
        transaction: Transaction,
        cursor: str | None = None,
        *,
        resource_types: tuple[str, ...] = (),
        batch: int = BATCH,
    ) -> Step:
        """Go over the next `batch` resources behind `cursor`, None for the beginning.

        Without `resource_types` the types whose parameters wait are gone over, all types when
        none does. The types of a cursor are kept: pass them at the beginning only. The caller
        commits each step with its cursor, and so resumes where it was.
        """
        connection = transaction.connection
        if cursor is None:
            return self._begin(connection, resource_types)
        self._stored.refresh(connection)
        state: JsonObject = orjson.loads(cursor)
        rows = connection.execute(_BATCH, (state["after"], state["types"], batch)).fetchall()
        if rows:
            bodies = open_rows(connection, [row[:4] for row in rows])
            indexed = [
                Indexed(rid, seq, self._rows_of(loads(body or b"{}")))
                for (*_, rid, seq), body in zip(rows, bodies, strict=True)
            ]
            rewrite_index(indexed).execute(connection)
        if len(rows) == batch:
            return Step(orjson.dumps({**state, "after": rows[-1][4]}).decode(), len(rows))
        self._activate(connection, state["pending"])
        return Step(None, len(rows))

    def _rows_of(self, resource: JsonObject) -> IndexRows:
        rows = self._indexer.index(resource)
        rows.text = self._indexer.words(resource)
        return rows

    def unusable(self) -> list[tuple[str, str, str]]:
        """Return (type, code, reason) of the stored parameters by which nothing is found, sorted."""
        registry = self._indexer.registry
        return [
            (resource_type, code, reason)
            for resource_type, entries in sorted(registry.stored.items())
            for code in sorted(entries)
            if (reason := self._indexer.refusal_of_definition(registry.of(resource_type)[code])) is not None
        ]

    def _begin(self, connection: Connection[tuple[Any, ...]], resource_types: tuple[str, ...]) -> Step:
        self._stored.refresh(connection, is_forced=True)
        pending = [
            each
            for each in self._indexer.registry.pending()
            if not resource_types or each[0] in resource_types
        ]
        types = resource_types or tuple({each[0] for each in pending}) or R4_RESOURCE_TYPES
        numbers = sorted(number for each in types if (number := type_number(each)) is not None)
        cursor = orjson.dumps({"after": 0, "types": numbers, "pending": pending}).decode()
        row = connection.execute(_AGE, (type_number("SearchParameter"),)).fetchone()
        age = row[0] if row is not None and row[0] is not None else _GRACE_SECONDS
        return Step(cursor, 0, max(0.0, _GRACE_SECONDS - age))

    def _activate(self, connection: Connection[tuple[Any, ...]], pending: list[list[str]]) -> None:
        if pending:
            connection.execute(_ACTIVATE, [list(column) for column in zip(*pending, strict=True)])
            self._stored.refresh(connection, is_forced=True)
