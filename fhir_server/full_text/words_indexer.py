"""Indexes the words of what was committed, range by range, behind the writers.

Any number of threads, processes and machines may do it; each range is worked by one at a time, and is done
when its words are committed: who is killed loses nothing. Going over a range again changes nothing.
Words are made before anything is locked; a resource that someone is changing is left for later.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Final, Protocol

import psycopg

from fhir_server.full_text import metrics, ranges
from fhir_server.full_text.ranges import Spelled
from fhir_server.full_text.settled import Settled
from fhir_server.index.rows import TextRow
from hie.core.db.database import Database, Transaction
from hie.core.errors import UnavailableError
from hie.core.fhir.json import JsonObject, loads

_IDLE_SECONDS: Final = 1.0
# What a lost transaction did is done again: no commit has to wait for the disk.
_LAZY: Final = "SET LOCAL synchronous_commit TO off"

_log = logging.getLogger("hie.full_text")


class WordSource(Protocol):
    """Says which words a resource is found by."""

    def words(self, resource: JsonObject) -> list[TextRow]:
        """Return the rows of `resource` for `_text` and `_content`."""
        ...


class WordsIndexer:
    """Indexes until `stop` is called; each thread has its own."""

    def __init__(self, database: Database, source: WordSource) -> None:
        """Take the database, and what makes words of resources."""
        self._database = database
        self._source = source
        self._settled = Settled()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Have `run` end after the range that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Index what is committed until `stop`; a database that is away is waited for."""
        while not self._stopping.is_set():
            try:
                is_idle = not self.work_one()
                if is_idle:
                    self._note()
            except (UnavailableError, psycopg.OperationalError):
                is_idle = True
            if is_idle:
                self._stopping.wait(_IDLE_SECONDS)

    def work_one(self) -> bool:
        """Index one range, or make ranges of what is settled; False when there is nothing to do now."""
        with self._database.transaction() as transaction:
            found = ranges.claim(transaction.connection)
            if found is not None:
                self._index(transaction, found)
                return True
        with self._database.transaction() as transaction:
            connection = transaction.connection
            # Before anything is changed: a transaction with a number would wait for itself.
            settled = self._settled.until(connection)
            connection.execute(_LAZY)
            return ranges.divide(connection, settled)

    def _index(self, transaction: Transaction, found: ranges.Range) -> None:
        connection = transaction.connection
        versions = [
            Spelled(rid, seq, self._words(seq, body)) for rid, seq, body in ranges.read(connection, found)
        ]
        connection.execute(_LAZY)
        held = ranges.hold(connection, versions)
        ready = [each for each in versions if each.rid in held]
        self._insert(transaction, ready)
        ranges.finish(connection, found, {each.seq for each in versions if each.rid not in held})
        metrics.RESOURCES.inc(len(ready))

    def _words(self, seq: int, body: bytes) -> list[TextRow]:
        try:
            return self._source.words(loads(body))
        except Exception:  # noqa: BLE001 - one resource must not keep the others out of the index for good
            _log.exception("the version with the number %d has no words, for a fault of the server", seq)
            metrics.REFUSED.inc()
            return []

    def _insert(self, transaction: Transaction, versions: Sequence[Spelled]) -> None:
        try:
            with transaction.connection.transaction():
                ranges.insert(transaction.connection, versions)
        except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded):
            # The same holds for what the database refuses.
            if len(versions) > 1:
                middle = len(versions) // 2
                self._insert(transaction, versions[:middle])
                self._insert(transaction, versions[middle:])
                return
            _log.exception("the words of the version with the number %d are not indexed", versions[0].seq)
            metrics.REFUSED.inc()

    def _note(self) -> None:
        with self._database.reading() as transaction:
            metrics.WAITING.set(ranges.waiting(transaction.connection))
