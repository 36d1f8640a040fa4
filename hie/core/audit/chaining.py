"""The thread of a worker that chains, exports and prunes, round after round."""

import logging
import threading
from typing import Final, Self

import psycopg

from hie.core.audit.auditing import Auditing
from hie.core.errors import ExchangeError

_ROUND_SECONDS: Final = 1.0
# Retention goes by months; looking every hour is more than enough.
_PRUNE_ROUNDS: Final = 3600

_log = logging.getLogger("hie.audit")


class Chaining:
    """Chains while it is entered; a round that fails is tried again, for what waits is durable."""

    def __init__(self, auditing: Auditing, *, round_seconds: float = _ROUND_SECONDS) -> None:
        """Take the parts of the process."""
        self._auditing = auditing
        self._exporter = auditing.exporter()
        self._round_seconds = round_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(self._round_seconds):
            try:
                self._auditing.collector.run()
                if self._exporter is not None:
                    self._exporter.run()
                if number % _PRUNE_ROUNDS == 0:
                    self._auditing.prune()
                number += 1
            except (ExchangeError, psycopg.Error, OSError) as error:
                _log.warning("the audit trail waits: %s", type(error).__name__)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End after the round that is under way."""
        self._ended.set()
        self._thread.join()
        if self._exporter is not None:
            self._exporter.close()
