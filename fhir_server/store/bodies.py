"""Opens the bodies of versions as they are stored: the way of every body out of the tables.

Type, id and version are bound into an envelope, so that a statement that selects a body selects these three
with it. Bodies that are not sealed pass as they are. Not here: how bodies are sealed
(`fhir_server.store.sealing`), keys and envelopes (`hie.core.crypto`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection

from fhir_server.store.identity import TYPE_NAME
from hie.core.crypto.envelope import Place
from hie.core.crypto.text_cipher import SEALED, Stored, cipher_of, open_texts
from hie.core.ports import StoredResource

Row = tuple[int, str, int, bytes | None]
"""Type number, id and version of a stored version, and its body; None for a deletion."""


def open_body(
    connection: Connection[tuple[Any, ...]], resource_type: str, resource_id: str, version: int, body: bytes
) -> bytes:
    """Return the JSON text of one body."""
    # Nearly every read of a store without encryption ends here.
    if not body.startswith(SEALED):
        return body
    return open_texts(connection, [Stored(Place(resource_type, resource_id, version), body)])[0]


def open_rows(connection: Connection[tuple[Any, ...]], rows: Sequence[Row]) -> list[bytes | None]:
    """Return the JSON texts of the bodies of `rows`, in order."""
    sealed = [(at, row) for at, row in enumerate(rows) if row[3] is not None and row[3].startswith(SEALED)]
    found = [row[3] for row in rows]
    if sealed:
        stored = [
            Stored(Place(TYPE_NAME[kind], identity, version), body or b"")
            for _, (kind, identity, version, body) in sealed
        ]
        for (at, _), text in zip(sealed, open_texts(connection, stored), strict=True):
            found[at] = text
    return found


def open_stored(
    connection: Connection[tuple[Any, ...]], stored: Iterable[StoredResource]
) -> list[StoredResource]:
    """Return `stored` with the JSON texts of its bodies."""
    found = list(stored)
    sealed = [at for at, each in enumerate(found) if each.body is not None and each.body.startswith(SEALED)]
    if sealed:
        texts = open_texts(
            connection,
            [
                Stored(Place(found[at].type, found[at].id, found[at].version), found[at].body or b"")
                for at in sealed
            ],
        )
        for at, text in zip(sealed, texts, strict=True):
            found[at] = found[at]._replace(body=text)
    return found


def may_be_sealed(connection: Connection[tuple[Any, ...]]) -> bool:
    """Say whether any body may be sealed: False only for a store that never was encrypted."""
    cipher = cipher_of(connection)
    return cipher is None or cipher.is_used(connection)
