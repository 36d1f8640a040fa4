"""Admission messages of nobody in particular, and what to look for after they were sent."""

from typing import Any

from hie.core.db.database import Database
from hl7_gateway.er7.reader import read


def admission(
    control_id: object,
    *,
    patient: str = "P1",
    visit: str | None = None,
    facility: str = "H1",
    family: str = "Test",
) -> bytes:
    segments = (
        f"MSH|^~\\&|HIS|{facility}|HIE|CITY|20260301093000||ADT^A01^ADT_A01|{control_id}|P|2.5",
        "EVN|A01|20260301093000",
        f"PID|1||{patient}^^^{facility}^MR||{family}^One||19800101|F",
        f"PV1|1|I|W1^R1^B1|||||||||||||||||{visit or 'V' + patient}",
    )
    return ("\r".join(segments) + "\r").encode()


def outcome(acknowledgment: bytes) -> tuple[str, str, str]:
    """Return MSA-1, MSA-2 and ERR-3.1."""
    ack = read(acknowledgment)
    msa, err = ack.first("MSA"), ack.first("ERR")
    assert msa is not None
    return msa.first(1), msa.first(2), err.first(3) if err else ""


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as transaction:
        return transaction.connection.execute(query.encode()).fetchall()


def resources(database: Database) -> dict[str, int]:
    """Return how many resources of each type there are."""
    found = rows(
        database,
        "SELECT convert_from(body, 'UTF8')::json ->> 'resourceType', count(*) FROM resource GROUP BY 1",
    )
    return dict(sorted((str(name), int(count)) for name, count in found))


def journal(
    database: Database, columns: str = "control_id, state, ack_code, attempts, resends"
) -> list[tuple[Any, ...]]:
    return rows(database, f"SELECT {columns} FROM journal ORDER BY received_at, id")  # noqa: S608 - columns of the test
