"""One message on its way through the pipeline, and how a batch of them is ordered."""

import logging
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hie.core.errors import ExchangeError, InternalError
from hie.core.fhir.json import JsonObject
from hl7_gateway import metrics
from hl7_gateway.acknowledgment import Code
from hl7_gateway.convert.report import Report
from hl7_gateway.conveyor import Received
from hl7_gateway.er7.message import Message
from hl7_gateway.header import UNKNOWN, Header
from hl7_gateway.journal import Identity
from hl7_gateway.sender import Sender

logger = logging.getLogger(__name__)

_LONGEST_NAME = 60


@dataclass(slots=True)
class Work:
    """One message: what was read from it, where it failed, and what its sender is told.

    `stage` and `error` say why it cannot be stored, known before the transaction. `code`, `outcome` and
    `is_resent` are what the last transaction made of it, valid once that is committed.
    """

    received: Received
    header: Header = UNKNOWN
    message: Message | None = None
    sender: Sender | None = None
    identity: Identity = field(default_factory=lambda: Identity(None, b""))
    bundle: JsonObject | None = None
    report: Report | None = None
    event: str | None = None
    stage: str | None = None
    error: ExchangeError | None = None
    code: Code = "AR"
    outcome: ExchangeError | None = None
    is_resent: bool = False

    def fail(self, stage: str, error: Exception) -> None:
        """End the way of this message; an error that is not the exchange's own is a fault of ours."""
        self.stage = stage
        if isinstance(error, ExchangeError):
            self.error = error
        else:
            log_fault(self.name, error)
            self.error = InternalError(f"The exchange failed on this message ({type(error).__name__})")

    def conclude(self, error: ExchangeError | None, *, is_resent: bool = False) -> None:
        """Set what the sender is told: AA without an error."""
        self.code = error.acknowledgment if error else "AA"
        self.outcome = error
        self.is_resent = is_resent

    @property
    def sender_name(self) -> str:
        """MSH-3|MSH-4, "" when they could not be read."""
        return f"{self.sender.application}|{self.sender.facility}" if self.sender else ""

    @property
    def control_id(self) -> str | None:
        """MSH-10, None when it could not be read."""
        return self.message.control_id if self.message else None

    @property
    def name(self) -> str:
        """What a log may call it: sender and control id, on one line."""
        text = f"{self.sender_name or '-'} {(self.control_id or '-')[:_LONGEST_NAME]}"
        return "".join([character if character.isprintable() else "?" for character in text])


def leaders(works: Sequence[Work]) -> tuple[list[Work], dict[Identity, list[Work]]]:
    """Return the first of each message, and the copies of it that follow in the same batch."""
    first: list[Work] = []
    copies: dict[Identity, list[Work]] = {}
    for work in works:
        if work.identity.message_key is None:
            first.append(work)
        elif work.identity in copies:
            copies[work.identity].append(work)
        else:
            copies[work.identity] = []
            first.append(work)
    return first, copies


def without_reuse(works: Sequence[Work]) -> Iterator[list[Work]]:
    """Cut a batch so that no part has two messages with one control id and different content.

    Whether the second may pass depends on whether the first was stored, which the journal knows afterwards.
    """
    part: list[Work] = []
    digests: dict[bytes, bytes] = {}
    for work in works:
        key, digest = work.identity.message_key, work.identity.digest
        if key is not None and digests.setdefault(key, digest) != digest:
            yield part
            part, digests = [], {key: digest}
        part.append(work)
    if part:
        yield part


def log_fault(name: str, error: Exception) -> None:
    """Log class and place of an unexpected exception; its text may quote the message and stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    logger.error("%s: %s at %s", name, type(error).__name__, place)


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Count the seconds of a stage."""
    began = time.perf_counter()
    try:
        yield
    finally:
        metrics.STAGE_SECONDS.labels(stage).inc(time.perf_counter() - began)
