"""The statements of those who read the trail: newest first, or oldest first, from a place on."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString

import orjson

from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the order of time: behind the record `seq` of the instant `recorded`."""

    recorded: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the chain."""

    seq: int
    recorded: datetime
    body: JsonObject

    @property
    def place(self) -> Place:
        """The place behind it."""
        return Place(self.recorded, self.seq)


@dataclass(slots=True)
class Wanted:
    """Conditions on the columns of the trail, all of which must hold."""

    parts: list[LiteralString] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def add(self, condition: LiteralString, *values: object) -> None:
        """Add a condition with its values."""
        self.parts.append(condition)
        self.values += values

    def patient(self, patient_id: str) -> None:
        """Keep what concerns a Patient."""
        self.add("patient = %s", patient_id)

    def agent(self, agent: str) -> None:
        """Keep what somebody did: ``Practitioner/1``, ``Patient/1``, or the id of an account or client."""
        self.add("agent = %s", agent)

    def since(self, moment: datetime) -> None:
        """Keep what was recorded at or after `moment`."""
        self.add("recorded >= %s", moment)

    def before(self, moment: datetime) -> None:
        """Keep what was recorded before `moment`."""
        self.add("recorded < %s", moment)


def read(
    transaction: Transaction,
    wanted: Wanted,
    *,
    behind: Place | None = None,
    limit: int,
    is_descending: bool = True,
) -> list[Found]:
    """Return at most `limit` records in the order of time, behind a place if one is given."""
    parts, values = list(wanted.parts), list(wanted.values)
    if behind is not None:
        parts.append("(recorded, seq) < (%s, %s)" if is_descending else "(recorded, seq) > (%s, %s)")
        values += [behind.recorded, behind.seq]
    order: LiteralString = "recorded DESC, seq DESC" if is_descending else "recorded, seq"
    where: LiteralString = " AND ".join(parts) or "true"
    statement: LiteralString = "SELECT seq, recorded, body FROM audit_event WHERE "
    statement += where + " ORDER BY " + order + " LIMIT %s"
    rows = transaction.connection.execute(statement, (*values, limit)).fetchall()
    return [Found(seq, recorded, orjson.loads(body)) for seq, recorded, body in rows]


def by_id(transaction: Transaction, record_id: str) -> Found | None:
    """Return the record of an id, None where there is none."""
    row = transaction.connection.execute(
        "SELECT seq, recorded, body FROM audit_event WHERE id = %s", (record_id,)
    ).fetchone()
    return None if row is None else Found(row[0], row[1], orjson.loads(row[2]))


def count(transaction: Transaction, wanted: Wanted) -> int:
    """Return how many records there are."""
    where: LiteralString = " AND ".join(wanted.parts) or "true"
    statement: LiteralString = "SELECT count(*) FROM audit_event WHERE "
    row = transaction.connection.execute(statement + where, wanted.values).fetchone()
    return row[0] if row else 0
