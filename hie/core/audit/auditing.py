"""The parts of the audit trail that a process has: its local log, what its commits record, the collector.

Made by `hie.wiring` from the settings; other packages meet it by `Transaction.record`, `Transaction.note`
and `hie.core.audit.trail.current`.
"""

from datetime import timedelta

from hie.core.audit.anchors import Anchors
from hie.core.audit.collecting import Collector
from hie.core.audit.commits import Commits
from hie.core.audit.export import Exporter
from hie.core.audit.log import LocalLog
from hie.core.audit.patients import PatientsOf
from hie.core.audit.retention import prune
from hie.core.audit.syslog import sender_of
from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.settings import Settings


class Auditing:
    """The audit trail of one process. Close it when the process ends."""

    def __init__(self, settings: Settings, database: Database, *, patients: PatientsOf, clock: Clock) -> None:
        """Take the database that transactions run on; `attach` has them recorded."""
        self.settings = settings
        self.database = database
        self.clock = clock
        self.site = settings.audit_site
        self.is_on = settings.audit == "on"
        self.log = LocalLog(settings.audit_logs)
        self.anchors = Anchors(
            settings.anchors,
            every=settings.audit_anchor_records,
            interval=timedelta(minutes=settings.audit_anchor_minutes),
            clock=clock,
        )
        self.collector = Collector(
            database,
            settings.audit_logs,
            patients=patients,
            clock=clock,
            digest=settings.audit_digest,
            site=self.site,
            anchors=self.anchors,
        )

    def attach(self) -> None:
        """Have every transaction of the database record what it changes, unless the settings say no."""
        if self.is_on:
            self.database.recorder = Commits(self.clock, self.site)

    def exporter(self) -> Exporter | None:
        """Return what sends the trail to syslog; None where the settings name no receiver."""
        sender = sender_of(self.settings)
        return None if sender is None else Exporter(self.database, sender, self.settings.audit_syslog)

    def prune(self) -> int:
        """Drop the months that are older than the settings keep; return how many."""
        with self.database.transaction() as transaction:
            return len(prune(transaction, self.clock.now(), self.settings.audit_retention_days))

    def close(self) -> None:
        """Make durable what waits, and let the log go."""
        self.log.close()
