"""What writes is recorded in its own transaction: a row of `audit_pending`, committed or not with the change.

The repository puts the row into the statement that writes; what else a transaction did is written last before
its COMMIT. What it only read is left to the request's own record (`hie.core.web.auditing`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

from hie.core.audit.record import Record, encode
from hie.core.audit.trail import Step, Trail
from hie.core.clock import Clock
from hie.core.db.database import Transaction

_ONE: Final[LiteralString] = "INSERT INTO audit_pending (body) VALUES (%b)"
_SEVERAL: Final[LiteralString] = "INSERT INTO audit_pending (body) SELECT unnest(%b::bytea[])"


class Commits:
    """Records what the transactions of one process change."""

    def __init__(self, clock: Clock, site: str) -> None:
        """Take the clock of the records and the name of this machine."""
        self._clock = clock
        self._site = site

    def insertion(
        self, transaction: Transaction, steps: Sequence[Step]
    ) -> tuple[LiteralString, tuple[object, ...]]:
        """Return the INSERT that records `steps`, for the statement that makes the change: no round trip."""
        return _insertion(
            [encode(_record(transaction, step, self._clock.now()), self._site) for step in steps]
        )

    def before_commit(self, transaction: Transaction) -> None:
        """Write the records of `transaction`, which is about to be committed.

        If it changed something, all its interactions are recorded here, those that read too; else they are
        left to the request.
        """
        steps, trail = transaction.steps, transaction.trail
        is_change = transaction.recorded > 0 or any(step.is_change for step in steps)
        if trail is not None and is_change:
            trail.is_committed = True
        records = list(transaction.records)
        if is_change or trail is None:
            records += [_record(transaction, step, self._clock.now()) for step in steps]
        else:
            trail.steps += steps
        if records:
            text, parameters = _insertion([encode(record, self._site) for record in records])
            transaction.connection.execute(text, parameters)


def _insertion(bodies: Sequence[bytes]) -> tuple[LiteralString, tuple[object, ...]]:
    return (_ONE, (bodies[0],)) if len(bodies) == 1 else (_SEVERAL, (list(bodies),))


def _record(transaction: Transaction, step: Step, now: datetime) -> Record:
    return (transaction.trail or _NO_REQUEST).record(step, transaction.requester, now)


_NO_REQUEST: Final = Trail("job")
