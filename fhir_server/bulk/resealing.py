"""The job that has all that is stored be as HIE_ENCRYPTION and HIE_CRYPTO say: sealed, sealed anew, or plain.

Batches change only what is not so yet, in transactions of their own beside which everything goes on; what
was done since the last saved cursor may be gone over again. Not here: the journal, which another feature
keeps and hands over as a `Table`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from fhir_server.jobs.job import Step, Work
from fhir_server.ports import ResourceIndexer
from fhir_server.store.resealing import reseal_current, reseal_superseded
from hie.core.crypto.text_cipher import TextCipher
from hie.core.db.database import Transaction

KIND: Final = "reseal"
_STEP_SECONDS: Final = 2.0
_BATCH: Final = 500

Table = Callable[[Transaction, list[int], int], tuple[int, int, list[int] | None]]
"""Goes over rows behind a place, [] at the beginning: returns the rows seen, changed, and the next place."""


class Reseal:
    """Works such jobs; `fhir_server.jobs.job.JobKind`."""

    def __init__(
        self,
        cipher: TextCipher,
        indexer: ResourceIndexer,
        further: Mapping[str, Table],
        *,
        step_seconds: float = _STEP_SECONDS,
        batch: int = _BATCH,
    ) -> None:
        """Take the cipher, what says whose a body is, and further tables by name; a step lasts so long."""
        self._cipher = cipher
        self._indexer = indexer
        self._tables: Mapping[str, Table] = {
            "resource": self._current,
            "resource_history": self._superseded,
            **further,
        }
        self._step_seconds = step_seconds
        self._batch = batch

    def step(self, work: Work) -> Step:
        """Go over batches for a while, table after table."""
        names = list(self._tables)
        cursor = work.job.cursor or {"table": names[0], "place": [], "seen": 0, "changed": 0}
        name, place = cursor["table"], cursor["place"]
        seen, changed = cursor["seen"], cursor["changed"]
        end = time.monotonic() + self._step_seconds
        is_done = False
        while not is_done and time.monotonic() < end:
            work.check()
            with work.transaction() as transaction:
                rows, written, following = self._tables[name](transaction, place, self._batch)
            seen, changed = seen + rows, changed + written
            if following is not None:
                place = following
            elif name != names[-1]:
                name, place = names[names.index(name) + 1], []
            else:
                is_done = True
        said = f"{seen:,} looked at, {changed:,} changed"
        made = {"table": name, "place": place, "seen": seen, "changed": changed}
        if not is_done:
            return Step(made, said)
        manifest = {"request": work.job.request, "count": changed, "output": [], "error": []}
        return Step(made, said, {"manifest": manifest, "files": []})

    def _current(
        self, transaction: Transaction, place: list[int], count: int
    ) -> tuple[int, int, list[int] | None]:
        behind = (place[0], place[1]) if place else (0, 0)
        found = reseal_current(transaction.connection, self._cipher, self._indexer, behind, count)
        return found.seen, found.changed, None if found.behind is None else list(found.behind)

    def _superseded(
        self, transaction: Transaction, place: list[int], count: int
    ) -> tuple[int, int, list[int] | None]:
        behind = (place[0], place[1]) if place else (0, 0)
        found = reseal_superseded(transaction.connection, self._cipher, self._indexer, behind, count)
        return found.seen, found.changed, None if found.behind is None else list(found.behind)
