"""Sends the chained trail to a receiver of syslog: every record, in order, at least once (ITI-20).

Number and hash of each record go with it as structured data, so that the receiver is an anchor of the whole
chain. How far the receiver is stands in the database; one worker sends at a time.
"""

import os
from typing import Final

import orjson

from hie.core.audit.dicom import message
from hie.core.audit.event import render
from hie.core.audit.record import recorded_at
from hie.core.audit.syslog import NOTICE, WARNING, Message, Sender
from hie.core.db.database import Database

_PIECE: Final = 500
# Key of the advisory lock of whoever sends.
_LOCK: Final = 0x6175_6469_7401
_FIRST_FAILURE: Final = 400


class Exporter:
    """Sends to one receiver."""

    def __init__(self, database: Database, sender: Sender, name: str) -> None:
        """Take the receiver, and the name under which its progress is kept: its URL."""
        self._database = database
        self._sender = sender
        self._name = name

    def run(self) -> int:
        """Send all that is chained and not yet sent; return how much. Raises UnavailableError."""
        total = 0
        while sent := self._piece():
            total += sent
        return total

    def restart(self, after: int) -> None:
        """Have what follows record `after` sent again."""
        with self._database.transaction() as transaction:
            transaction.connection.execute(
                "INSERT INTO audit_export (name, seq) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
                (self._name, after),
            )

    def close(self) -> None:
        """Let the connection go."""
        self._sender.close()

    def _piece(self) -> int:
        with self._database.transaction() as transaction:
            connection = transaction.connection
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            row = connection.execute("SELECT seq FROM audit_export WHERE name = %s", (self._name,)).fetchone()
            rows = connection.execute(
                "SELECT seq, hash, digest, status, body FROM audit_event WHERE seq > %s"
                " ORDER BY seq LIMIT %s",
                (row[0] if row else 0, _PIECE),
            ).fetchall()
            if not rows:
                return 0
            self._sender.send([_message(*each) for each in rows])
            connection.execute(
                "INSERT INTO audit_export (name, seq) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
                (self._name, rows[-1][0]),
            )
        return len(rows)


def _message(seq: int, digest: bytes, name: str, status: int, body: bytes) -> bytes:
    record = orjson.loads(body)
    return Message(
        recorded_at(record["at"]),
        record["site"],
        str(os.getpid()),
        message(render(record)),
        NOTICE if status < _FIRST_FAILURE else WARNING,
        (("seq", str(seq)), ("hash", digest.hex()), ("digest", name)),
    ).encode()
