"""Tells at once who must know of an emergency access: handles `access.break-glass` of the outbox.

The security officer finds it on the page of emergencies, waiting for review; the patient has the
Communication that was written with the access itself (`hie.policy.break_glass`), on the page of notices. That
both were told, and when, stands in the row of the access and in the audit trail. No mail and no SMS is sent.
"""

import logging
from typing import Final
from uuid import UUID

from hie.core.access import SYSTEM
from hie.core.audit.record import Record
from hie.core.clock import Clock
from hie.core.db.database import Transaction
from hie.core.outbox import OutboxEvent
from hie.policy.emergencies import note_notice

_log: Final = logging.getLogger(__name__)


class BreakGlassNotice:
    """The handler; an event that is delivered again tells nobody again."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock of the notice."""
        self._clock = clock

    def __call__(self, transaction: Transaction, event: OutboxEvent) -> None:
        """Give notice of the access that `event` names."""
        now = self._clock.now()
        identity, patient = event.payload["id"], event.payload["patient"]
        if not note_notice(transaction, UUID(identity), now=now):
            return
        transaction.record(
            Record(
                "break-glass",
                "notice",
                "E",
                SYSTEM,
                now,
                target=f"Patient/{patient}",
                patients=(patient,),
                detail={"emergency": identity, "reason": event.payload["reason"]},
            )
        )
        _log.warning("emergency access %s waits for review by the security officer", identity)
