"""The resources that were deleted since the client's last export, as transaction Bundles of deletions.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status (`deleted`). A deleted
resource has no index rows: whether it belonged to the patients is read from its last content. Its
`_typeFilter` is not evaluated: a client ignores the deletion of what it does not have.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from fhir_server.bulk.scope import Scope
from fhir_server.compartments.definitions import load_compartments
from fhir_server.index.hashing import reference_key
from fhir_server.ports import ResourceIndexer
from fhir_server.service import Repository
from fhir_server.store.bodies import open_rows
from fhir_server.store.identity import TYPE_NAME, TYPE_NUMBER
from hie.core.db.database import Transaction
from hie.core.fhir.json import dumps, loads

# Bundles of so many entries keep lines short enough for any reader.
_ENTRIES: Final = 100
_FETCHED: Final = 1_000

_DELETED: Final = """
SELECT r.type, r.id, {content} FROM resource r {last}
WHERE r.type = ANY(%s::smallint[]) AND r.is_deleted AND r.last_updated > %s AND {readable}
"""
_LAST: Final = (
    "LEFT JOIN LATERAL (SELECT h.version, h.body FROM resource_history h"
    " WHERE h.rid = r.rid AND h.body IS NOT NULL ORDER BY h.version DESC LIMIT 1) AS l ON true"
)
_Deleted = tuple[int, str, bytes | None]


def write_deleted(
    repository: Repository, indexer: ResourceIndexer, transaction: Transaction, scope: Scope, path: Path
) -> int:
    """Write the Bundles of what was deleted since ``scope.kick_off.since`` to `path`; return their number."""
    names = scope.types
    readable = repository.readable_rows(transaction, names, "r")
    text = _DELETED.format(
        content="0, NULL::bytea" if scope.is_system else "l.version, l.body",
        last="" if scope.is_system else _LAST,
        readable=readable.text,
    )
    params = ([TYPE_NUMBER[name] for name in names], scope.kick_off.since, *readable.params)
    lines = 0
    with transaction.connection.cursor(name="deleted") as rows, path.open("wb") as file:
        rows.itersize = _FETCHED
        rows.execute(text, params)
        opened = _opened(transaction, rows)
        urls = (f"{TYPE_NAME[kind]}/{identity}" for kind, identity, _ in _belonging(indexer, scope, opened))
        while chunk := list(islice(urls, _ENTRIES)):
            file.write(_bundle(chunk) + b"\n")
            lines += 1
        file.flush()
        os.fsync(file.fileno())
    return lines


def _bundle(urls: Sequence[str]) -> bytes:
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    return dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _opened(transaction: Transaction, rows: Iterator[tuple[Any, ...]]) -> Iterator[_Deleted]:
    while piece := list(islice(rows, _FETCHED)):
        bodies = open_rows(transaction.connection, piece)
        yield from ((kind, identity, body) for (kind, identity, *_), body in zip(piece, bodies, strict=True))


def _belonging(indexer: ResourceIndexer, scope: Scope, rows: Iterator[_Deleted]) -> Iterator[_Deleted]:
    """Return those of `rows` (type, id, last content) that belonged to the patients of `scope`."""
    if scope.is_system:
        yield from rows
        return
    compartment = load_compartments()["Patient"]
    numbers = {name: set(compartment.numbers([name])) for name in scope.types}
    keys = None if scope.patients is None else {reference_key("Patient", each) for each in scope.patients}
    for row in rows:
        kind, identity, body = row
        name = TYPE_NAME[kind]
        if name == "Patient":
            belongs = keys is None or reference_key(name, identity) in keys
        else:
            references = indexer.index(loads(body)).reference if body is not None else []
            belongs = any(
                param in numbers[name]
                and (kind_of == TYPE_NUMBER["Patient"] if keys is None else key in keys)
                for param, key, kind_of in references
            )
        if belongs:
            yield row
