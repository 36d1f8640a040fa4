"""Anchors: the chain's end, written where who can change the database cannot change it unseen.

Whoever may write to the database can compute a whole new chain. It will not meet the hashes that were put
elsewhere: lines of JSON appended to a file (`HIE_AUDIT_ANCHORS`; best on another disk, machine, or medium
that is written once), and messages to syslog (`hie.core.audit.export`). An anchor is made after so many
records, or so long after the last.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from hie.core.audit.chain import Head
from hie.core.audit.record import recorded_at
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Anchor:
    """The hash of record `seq`; `kind` "prune" marks the last record that retention removed."""

    seq: int
    hash: bytes
    made_at: datetime
    kind: str = "anchor"


class Anchors:
    """Makes anchors in the table and in a file."""

    def __init__(self, path: Path, *, every: int, interval: timedelta, clock: Clock) -> None:
        """Take the file, the records and the time after which an anchor is due."""
        self._path = path
        self._every = every
        self._interval = interval
        self._clock = clock
        self._published: int | None = None

    def note(self, transaction: Transaction, end: Head) -> None:
        """Make an anchor at `end`, in the table, if one is due."""
        row = transaction.connection.execute(
            "SELECT seq, made_at FROM audit_anchor WHERE kind = 'anchor' ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        now = self._clock.now()
        last, made_at = row or (0, None)
        if made_at is not None and end.seq - last < self._every and now - made_at < self._interval:
            return
        keep(transaction, Anchor(end.seq, end.hash, now))

    def publish(self, transaction: Transaction) -> None:
        """Append to the file the anchors of the table that it has not; only after they are committed.

        A line stands for good: what is not there any more when it is read was taken out.
        """
        if self._published is None:
            self._published = max((anchor.seq for anchor in read_file(self._path)), default=0)
        anchors = [anchor for anchor in stored(transaction, after=self._published) if anchor.seq]
        if not anchors:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = b"".join(
            orjson.dumps(
                {"seq": anchor.seq, "hash": anchor.hash.hex(), "at": anchor.made_at, "kind": anchor.kind}
            )
            + b"\n"
            for anchor in anchors
        )
        file = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, lines)
            os.fsync(file)
        finally:
            os.close(file)
        self._published = anchors[-1].seq


def keep(transaction: Transaction, anchor: Anchor) -> None:
    """Put `anchor` into the table."""
    transaction.connection.execute(
        "INSERT INTO audit_anchor (seq, kind, hash, made_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (anchor.seq, anchor.kind, anchor.hash, anchor.made_at),
    )


def stored(transaction: Transaction, *, after: int = -1) -> list[Anchor]:
    """Return the anchors of the table behind record `after`, in the order of the chain."""
    rows = transaction.connection.execute(
        "SELECT seq, hash, made_at, kind FROM audit_anchor WHERE seq > %s ORDER BY seq", (after,)
    )
    return [Anchor(*row) for row in rows]


def read_file(path: Path) -> Iterator[Anchor]:
    """Yield the anchors of the file in the order of writing; raises ConfigurationError for a bad line."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                said = orjson.loads(line)
                yield Anchor(
                    int(said["seq"]), bytes.fromhex(said["hash"]), recorded_at(said["at"]), said["kind"]
                )
            except (KeyError, TypeError, ValueError) as error:
                raise ConfigurationError(f"Line {number} of {path} is no anchor") from error
