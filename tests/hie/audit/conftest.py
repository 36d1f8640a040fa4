"""A chain in a fresh database, with a log directory of its own."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hie.core.access import Requester, Role
from hie.core.audit.anchors import Anchors
from hie.core.audit.collecting import Collector
from hie.core.audit.patients import NoPatients
from hie.core.audit.record import Record, encode
from hie.core.db.database import Database

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CLINICIAN = Requester(
    "person",
    "u-1",
    client="ward-app",
    roles=frozenset({Role.CLINICIAN}),
    practitioner="dr-1",
    organization="hospital-1",
    session="token-1",
)


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        """Return what it is set to."""
        return self.moment


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def anchors(tmp_path: Path, clock: SetClock) -> Anchors:
    return Anchors(tmp_path / "elsewhere" / "anchors", every=10, interval=timedelta(minutes=5), clock=clock)


@pytest.fixture
def collector(database: Database, logs: Path, clock: SetClock, anchors: Anchors) -> Collector:
    return Collector(
        database,
        logs,
        patients=NoPatients(),
        clock=clock,
        digest="sha256",
        site="web-1",
        anchors=anchors,
    )


@pytest.fixture
def chained(database: Database, collector: Collector) -> Callable[[int], Sequence[Record]]:
    """Chains that many reads of Patients 0, 1, 2 ... and returns their records."""

    def chain(count: int) -> Sequence[Record]:
        records = [read_of(number) for number in range(count)]
        with database.transaction() as transaction:
            transaction.connection.execute(
                "INSERT INTO audit_pending (body) SELECT unnest(%b::bytea[])",
                ([encode(record, "web-1") for record in records],),
            )
        collector.run()
        return records

    return chain


def read_of(number: int) -> Record:
    """Return the record of a read of one Patient."""
    return Record(
        "rest",
        "read",
        "R",
        CLINICIAN,
        NOW + timedelta(seconds=number),
        target=f"Patient/{number}",
        seen=(("Patient", str(number)),),
        patients=(str(number),),
        address="10.0.0.7",
        request_id=f"request-{number}",
        id=f"record-{number}",
    )
