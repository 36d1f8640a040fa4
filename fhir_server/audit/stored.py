"""The AuditEvents that clients stored as resources of the repository, in the order of their `recorded`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fhir_server.index.hashing import param_id
from fhir_server.store.bodies import open_rows
from fhir_server.store.identity import TYPE_NUMBER
from hie.core.audit.queries import Place
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject, loads

_TYPE: Final = TYPE_NUMBER["AuditEvent"]
_DATE: Final = param_id("AuditEvent", "date")
_PIECE: Final = 200


@dataclass(frozen=True, slots=True)
class Candidate:
    """One AuditEvent, rendered or stored, and its place in the order of time."""

    place: Place
    is_stored: bool
    resource: JsonObject


def candidates(
    transaction: Transaction, behind: Place | None, *, is_descending: bool, resource_id: str | None = None
) -> Iterator[Candidate]:
    """Yield the stored AuditEvents behind a place, all or one; whether they may be read is not asked here."""
    place = behind
    while True:
        found = _piece(transaction, place, resource_id, is_descending=is_descending)
        yield from found
        if len(found) < _PIECE:
            return
        place = found[-1].place


def _piece(
    transaction: Transaction, behind: Place | None, resource_id: str | None, *, is_descending: bool
) -> list[Candidate]:
    statement = (
        "SELECT r.type, r.id, r.version, r.body, x.lo, r.seq FROM ix_date x JOIN resource r ON r.rid = x.rid"
        " WHERE x.param = %s AND r.type = %s AND NOT r.is_deleted"
    )
    values: list[object] = [_DATE, _TYPE]
    if resource_id is not None:
        statement += " AND r.id = %s"
        values.append(resource_id)
    if behind is not None:
        statement += " AND (x.lo, r.seq) < (%s, %s)" if is_descending else " AND (x.lo, r.seq) > (%s, %s)"
        values += [behind.recorded, behind.seq]
    statement += " ORDER BY x.lo DESC, r.seq DESC" if is_descending else " ORDER BY x.lo, r.seq"
    rows = transaction.connection.execute(statement + " LIMIT %s", (*values, _PIECE)).fetchall()
    bodies = open_rows(transaction.connection, [row[:4] for row in rows])
    return [
        Candidate(Place(lo, seq), is_stored=True, resource=loads(body or b"{}"))
        for (*_, lo, seq), body in zip(rows, bodies, strict=True)
    ]
