"""The transaction of a batch: have we seen it, store what is new, write the journal; not the commit."""

from collections.abc import Sequence

from hie.core.db.database import Transaction
from hie.core.errors import DuplicateControlIdError, ExchangeError
from hie.core.fhir.json import JsonObject
from hie.core.ports import ResourceStore, TransactionResult
from hl7_gateway import journal
from hl7_gateway.journal import Entry, Found, Identity
from hl7_gateway.recording import record_of
from hl7_gateway.tables import MessageState
from hl7_gateway.work import Work, leaders, timed

_DATE_TIME = 7


class Storing:
    """Carries out the transaction of a batch."""

    def __init__(self, store: ResourceStore, *, rejects_reuse: bool) -> None:
        """Take the store; `rejects_reuse` refuses a control id that came with other content."""
        self._store = store
        self._rejects_reuse = rejects_reuse

    def carry_out(self, transaction: Transaction, works: Sequence[Work]) -> None:
        """Store and journal the batch, and conclude each message of it.

        Raises ResentError when another process took one of the messages at the same time: nothing of the
        batch may be committed then.
        """
        first, copies = leaders(works)
        with timed("find"):
            if self._rejects_reuse:
                journal.lock(transaction, [work.identity for work in first])
            found = journal.find(transaction, [work.identity for work in first])
        with timed("store"):
            results = self._store_new(transaction, first, found)
        with timed("journal"):
            self._write(transaction, first, found, results, copies)
        for leader in first:
            for copy in copies.get(leader.identity, ()):
                copy.conclude(leader.outcome, is_resent=True)

    def _store_new(
        self, transaction: Transaction, works: list[Work], found: list[Found]
    ) -> list[TransactionResult | None]:
        """Store the Bundles of the messages that are new; None for the others."""
        results: list[TransactionResult | None] = [None] * len(works)
        positions: list[int] = []
        bundles: list[JsonObject] = []
        for position, (work, known) in enumerate(zip(works, found, strict=True)):
            if work.bundle is None or known.state is MessageState.STORED or self._is_refused(known):
                continue
            positions.append(position)
            bundles.append(work.bundle)
        if bundles:
            stored = self._store.transact(transaction, bundles)
            for position, result in zip(positions, stored, strict=True):
                results[position] = result
        return results

    def _write(
        self,
        transaction: Transaction,
        works: list[Work],
        found: list[Found],
        results: list[TransactionResult | None],
        copies: dict[Identity, list[Work]],
    ) -> None:
        entries: list[Entry] = []
        resends: dict[int, int] = {}
        for work, known, result in zip(works, found, results, strict=True):
            times = len(copies.get(work.identity, ()))
            if known.id is not None and known.state is MessageState.STORED:
                work.conclude(None, is_resent=True)
                resends[known.id] = 1 + times
                transaction.record(record_of(work, None))
                continue
            stage, error = self._failure(work, known, result)
            work.conclude(error, is_resent=known.id is not None)
            transaction.record(record_of(work, result))
            entries.append(_entry(work, known, stage, result, times))
        journal.count_resends(transaction, resends)
        journal.write(transaction, entries)

    def _failure(
        self, work: Work, known: Found, result: TransactionResult | None
    ) -> tuple[str | None, ExchangeError | None]:
        if work.error is not None:
            return work.stage, work.error
        if self._is_refused(known):
            message = "The message control id came before with other content"
            return "read", DuplicateControlIdError(message, location="MSH-10")
        if result is not None and result.error is not None:
            return "store", result.error
        return None, None

    def _is_refused(self, known: Found) -> bool:
        return known.reuses_control_id and self._rejects_reuse


def _entry(
    work: Work, known: Found, stage: str | None, result: TransactionResult | None, resends: int
) -> Entry:
    written = result.entries if result is not None and work.outcome is None else ()
    return Entry(
        id=known.id,
        identity=work.identity,
        received_at=work.received.received_at,
        sender=work.sender_name,
        control_id=work.control_id,
        event=work.event,
        raw=work.received.raw,
        charset=work.message.charset if work.message else None,
        stage=stage,
        error=work.outcome,
        report=_report(work),
        ack_code=work.code,
        resources=[
            f"{entry.type}/{entry.id}/_history/{entry.version}" for entry in written if entry.is_changed
        ],
        reuses_control_id=known.reuses_control_id,
        resends=resends,
        sent_at=work.header.raw(_DATE_TIME),
        patients=tuple({entry.id: None for entry in written if entry.type == "Patient"}),
    )


def _report(work: Work) -> JsonObject | None:
    """Return the report as the journal keeps it: rows of place, position of the segment, and the rest."""
    report = work.report
    if report is None:
        return None
    notes = [*(work.message.notes if work.message else ()), *report.notes]
    found: JsonObject = {}
    if report.unmapped:
        found["unmapped"] = [
            [part.location, part.segment, part.length, part.reason] for part in report.unmapped
        ]
    if report.kept:
        found["kept"] = [[part.location, part.segment, part.where] for part in report.kept]
    if notes:
        found["notes"] = notes
    return found or None
