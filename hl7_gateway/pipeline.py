"""The pipeline: carries a batch of messages from bytes to committed resources, and words the acknowledgments.

read -> convert -> one transaction (have we seen it; store; journal) -> COMMIT -> acknowledgments.
Synchronous; one thread calls it. A message that fails does so alone. A transaction that fails as a whole is
tried again, then message by message; while the database is away nothing is acknowledged as taken.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence

import psycopg

from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.errors import ExchangeError, InternalError, LockError, UnavailableError
from hie.core.ports import ResourceStore
from hie.core.settings import Settings
from hl7_gateway import journal, metrics
from hl7_gateway.acknowledgment import acknowledge
from hl7_gateway.certificates import Certificates
from hl7_gateway.convert.engine import Engine
from hl7_gateway.conveyor import Received
from hl7_gateway.er7.reader import read
from hl7_gateway.header import UNKNOWN, header_from, header_of
from hl7_gateway.senders import Senders, name_of
from hl7_gateway.storing import Storing
from hl7_gateway.work import Work, log_fault, timed, without_reuse

logger = logging.getLogger(__name__)

# The database chose this transaction as the victim; the same statements may well pass a moment later.
_VICTIM = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)
_TRIES = 5
_LONGEST_PAUSE_SECONDS = 1.0


class Pipeline:
    """Carries out batches; one a process."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        store: ResourceStore,
        engine: Engine,
        clock: Clock,
        patience_seconds: float = 10.0,
    ) -> None:
        """Take the parts; `patience_seconds` is how long an absent database is waited for."""
        self._database = database
        self._storing = Storing(store, rejects_reuse=settings.control_id_reuse == "reject")
        self._engine = engine
        self._clock = clock
        self._zone = settings.zone
        self._senders = Senders(settings)
        self.certificates = Certificates(settings.mllp_senders)
        self._patience_seconds = patience_seconds
        self._is_database_away = False

    def process(self, batch: Sequence[Received]) -> list[bytes]:
        """Return one acknowledgment for each message, in order; never raises.

        What is acknowledged AA is committed. What is acknowledged with an error of its own stands in the
        journal with the reason; what is acknowledged because the database is away (AR) does not.
        """
        works = [Work(received) for received in batch]
        try:
            self._take(works)
        except Exception as error:  # noqa: BLE001 - the conveyor goes on, the log has the place
            log_fault("batch", error)
            _conclude_unavailable(works, error)
        with timed("acknowledge"):
            return [self._acknowledgment(work) for work in works]

    def refuse(self, head: bytes, error: ExchangeError) -> bytes:
        """Return the acknowledgment of a message of which only the head is there."""
        now = self._clock.now().astimezone(self._zone)
        return acknowledge(header_from(head), error.acknowledgment, now=now, error=error)

    def _take(self, works: list[Work]) -> None:
        failure = self._try(lambda: self._senders.refresh(self._database))
        with timed("read"):
            for work in works:
                self._read(work)
        if failure is not None:
            # How a message is to be read is not known without the profiles of senders.
            _conclude_unavailable(works, failure)
            return
        for part in without_reuse(works):
            self._settle(part)

    def _read(self, work: Work) -> None:
        raw = work.received.raw
        try:
            work.message = read(raw, default_charset=self._senders.charset(raw))
            work.header = header_of(work.message)
            work.event = f"{work.message.code}^{work.message.event}"
            # before anything is noted under a name that may be another's
            self.certificates.check(work.received.certificate, *name_of(work.message))
            work.sender = self._senders.of(work.message, raw)
            self._senders.check(work.sender)
        except Exception as error:  # noqa: BLE001 - whatever it is fails this message, not the others
            work.fail("read", error)
        if work.message is None:
            work.header = header_from(raw)
        work.identity = journal.identify(raw, work.sender_name, work.control_id)

    def _convert(self, work: Work) -> None:
        """Make the Bundle; anew for each attempt, as a store may rewrite what it is given."""
        work.bundle = None
        if work.message is None or work.sender is None or work.error is not None:
            return
        try:
            conversion = self._engine.convert(work.message, work.sender, received=work.received.received_at)
        except Exception as error:  # noqa: BLE001 - whatever it is fails this message, not the others
            work.fail("convert", error)
        else:
            work.bundle, work.report, work.event = conversion.bundle, conversion.report, conversion.event

    def _settle(self, works: list[Work]) -> None:
        """Carry the messages out together, else one by one; whatever happens, each is concluded."""
        failure = self._try(lambda: self._carry_out(works))
        if failure is None:
            return
        if self._is_database_away:
            _conclude_unavailable(works, failure)
        elif len(works) > 1:
            for work in works:
                self._settle([work])
        elif works[0].error is None:
            # Nothing said what is wrong with it: journal it as failed, without its resources.
            works[0].fail("store", failure)
            self._settle(works)
        else:
            _conclude_unavailable(works, failure)

    def _try(self, act: Callable[[], None]) -> Exception | None:
        """Do what needs the database, again while that makes sense; return why it could not be done."""
        deadline = time.monotonic() + (0.0 if self._is_database_away else self._patience_seconds)
        attempt = 0
        while True:
            attempt += 1
            try:
                act()
            except Exception as error:  # noqa: BLE001 - what follows depends on its class
                failure = error
            else:
                self._is_database_away = False
                return None
            may_pass = isinstance(failure, (journal.ResentError, LockError)) or isinstance(
                failure.__cause__, _VICTIM
            )
            is_slow = isinstance(failure.__cause__, psycopg.errors.QueryCanceled)
            is_away = isinstance(failure, UnavailableError) and not may_pass and not is_slow
            if is_away and time.monotonic() >= deadline:
                self._is_database_away = True
                return failure
            if not is_away and not (may_pass and attempt < _TRIES):
                return failure
            metrics.BATCH_RETRIES.inc()
            pause = min(_LONGEST_PAUSE_SECONDS, 0.01 * 2**attempt)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries

    def _carry_out(self, works: list[Work]) -> None:
        self._senders.enter(self._database, self._clock.now())
        with timed("convert"):
            for work in works:
                self._convert(work)
        with self._database.transaction() as transaction:
            self._storing.carry_out(transaction, works)
            committing = time.perf_counter()
        metrics.STAGE_SECONDS.labels("commit").inc(time.perf_counter() - committing)
        metrics.BATCHES.inc()

    def _acknowledgment(self, work: Work) -> bytes:
        metrics.MESSAGES.labels("resent" if work.is_resent and work.code == "AA" else work.code).inc()
        if work.outcome is not None:
            logger.info("%s: %s, %s", work.name, work.code, type(work.outcome).__name__)
        now = self._clock.now().astimezone(self._zone)
        try:
            return acknowledge(work.header, work.code, now=now, error=work.outcome)
        except Exception as error:  # noqa: BLE001 - an MSH that cannot be echoed still gets its code
            log_fault(work.name, error)
            return acknowledge(UNKNOWN, work.code, now=now, error=work.outcome)


def _conclude_unavailable(works: list[Work], failure: Exception) -> None:
    """Tell the senders to keep their messages: nothing of them is stored, not even in the journal."""
    for work in works:
        work.code, work.outcome = "AR", failure if isinstance(failure, ExchangeError) else InternalError()
