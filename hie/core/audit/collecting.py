"""The one writer: takes what transactions recorded and what the local logs of reads hold, and chains it.

A round is one transaction; what it took from a log is remembered in it, so that a crash neither loses nor
doubles a record. A file whose process is gone, or has gone on to the next, is removed when all of it is
chained. Bytes at its end that are no frame were never answered for, unless the disk is failing: the file
is kept under another name, and the chain says so.
"""

import fcntl
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hie.core.access import SYSTEM
from hie.core.audit.anchors import Anchors
from hie.core.audit.chain import Digest, Head, extend, lock
from hie.core.audit.patients import PatientsOf, divide
from hie.core.audit.record import Record, encode
from hie.core.audit.segment import SUFFIX, read_frames
from hie.core.clock import Clock
from hie.core.db.database import Database, Transaction

ROUND: Final = 2_000
DAMAGED: Final = ".damaged"

_log = logging.getLogger("hie.audit")


@dataclass(slots=True)
class _Progress:
    """How far one file is read; `is_final` says that nobody writes to it any more."""

    path: Path
    position: int
    checksum: int
    is_final: bool = False
    is_read: bool = False
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did: records chained, the end of the chain, and whether more waits."""

    chained: int
    head: Head
    has_more: bool


class Collector:
    """Chains what waits; any number of processes may have one, the database lets one work at a time."""

    def __init__(
        self,
        database: Database,
        directory: Path,
        *,
        patients: PatientsOf,
        clock: Clock,
        digest: Digest,
        site: str,
        anchors: Anchors,
    ) -> None:
        """Take the directory of the local logs of this machine, and what makes anchors of the chain."""
        self._database = database
        self._directory = directory
        self._patients = patients
        self._clock = clock
        self._digest: Digest = digest
        self._site = site
        self._is_new = True
        self._anchors = anchors

    def run(self) -> int:
        """Chain all that waits; return how many records that were."""
        total = 0
        while True:
            made = self.round()
            total += made.chained
            if not made.has_more:
                return total

    def round(self, limit: int = ROUND) -> Round:
        """Chain at most `limit` records of transactions, and as many of each file."""
        with self._database.transaction() as transaction:
            start = lock(transaction)
            rows = transaction.connection.execute(
                "SELECT id, body FROM audit_pending ORDER BY id LIMIT %s", (limit,)
            ).fetchall()
            bodies = [body for _, body in rows]
            has_more = len(rows) == limit
            files = self._known(transaction)
            for file in files:
                taken = self._read(file, limit)
                bodies += taken
                has_more = has_more or len(taken) == limit
            divided = divide(transaction, bodies, self._patients)
            end = extend(transaction, start, divided, digest=self._digest, now=self._clock.now())
            if rows:
                transaction.connection.execute(
                    "DELETE FROM audit_pending WHERE id = ANY(%s)", ([row[0] for row in rows],)
                )
            self._remember(transaction, files)
            if divided:
                self._anchors.note(transaction, end)
        for file in files:
            if file.is_final and file.is_read:
                _put_away(file)
        if divided or self._is_new:
            with self._database.reading() as reading:
                self._anchors.publish(reading)
            self._is_new = False
        self._forget(file.path.name for file in files if file.is_final and file.is_read)
        return Round(len(divided), end, has_more)

    def _known(self, transaction: Transaction) -> list[_Progress]:
        """Return the files that there are, with how far each is chained."""
        known = {
            name: (position, checksum)
            for name, position, checksum in transaction.connection.execute(
                "SELECT name, position, checksum FROM audit_segment"
            )
        }
        paths = sorted(self._directory.glob(f"[!.]*{SUFFIX}")) if self._directory.is_dir() else []
        return [_Progress(path, *known.get(path.name, (0, 0))) for path in paths]

    def _read(self, file: _Progress, limit: int) -> list[bytes]:
        try:
            # Asked before reading: what a process wrote before it let go is then read too.
            file.is_final = _is_let_go(file.path)
            found = read_frames(file.path, file.position, file.checksum, limit=limit)
        except FileNotFoundError:
            return []  # another collector put it away
        file.is_read = len(found.bodies) < limit
        file.is_damaged = found.is_damaged and file.is_final
        file.position, file.checksum = found.position, found.checksum
        if not file.is_damaged:
            return found.bodies
        _log.error("%s has bytes at %d that are no record", file.path.name, found.position)
        note = Record(
            "trail",
            "damaged-log",
            "E",
            SYSTEM,
            self._clock.now(),
            status=500,
            detail={"file": file.path.name, "position": str(found.position)},
        )
        return [*found.bodies, encode(note, self._site)]

    def _forget(self, names: Iterable[str]) -> None:
        """Forget files that are gone; a crash before this leaves a row that says nothing any more."""
        gone = list(names)
        if gone:
            with self._database.transaction() as transaction:
                transaction.connection.execute("DELETE FROM audit_segment WHERE name = ANY(%s)", (gone,))

    def _remember(self, transaction: Transaction, files: list[_Progress]) -> None:
        connection = transaction.connection
        for file in files:
            connection.execute(
                "INSERT INTO audit_segment (name, position, checksum) VALUES (%s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET position = excluded.position, checksum = excluded.checksum"
                " WHERE audit_segment.position <> excluded.position",
                (file.path.name, file.position, file.checksum),
            )


def _is_let_go(path: Path) -> bool:
    """Say whether no process holds the file."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(file)


def _put_away(file: _Progress) -> None:
    """Remove a file that is chained whole, keep one that is damaged for whoever looks into it."""
    if file.is_damaged:
        file.path.rename(file.path.with_suffix(DAMAGED))
    else:
        file.path.unlink(missing_ok=True)
