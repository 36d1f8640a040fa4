"""Emergency access: opens one record for a while, tells everybody, and ends by itself."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hie import wiring
from hie.core.access import Requester
from hie.core.clock import Clock, SystemClock
from hie.core.errors import ForbiddenError, NotFoundError, RequestError
from hie.core.fhir.json import loads
from hie.core.settings import Settings
from tests.hie.policy.city import CITIZEN, STRANGER, city


class Ago:
    """The time as it was a while ago."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> datetime:
        """Return it."""
        return datetime.now(UTC) - self.by


def exchange(database_url: str, folder: Path, clock: Clock | None = None) -> wiring.Exchange:
    settings = Settings(var_dir=folder, audit_folder=folder / "audit")
    clock = clock or SystemClock()
    policy = wiring.policy(settings, clock)
    made = wiring.build(settings, database_url=database_url, access=policy, clock=clock)
    with made.database.transaction() as transaction:
        (result,) = made.repository.transact(transaction, [city()])
        assert result.error is None
    return made


def reads(made: wiring.Exchange, who: Requester, name: str) -> bool:
    with made.database.reading(requester=who) as reading:
        try:
            made.repository.read(reading, *name.split("/"))
        except NotFoundError:
            return False
        return True


def open_record(made: wiring.Exchange, who: Requester, patient: str = "x", **given: str) -> None:
    said = {"reason_code": "ETREAT", "reason": "unconscious in the emergency room", **given}
    with made.database.transaction(requester=who) as transaction:
        made.emergency_access.open(transaction, patient, **said)


def test_opening_a_record_shows_it_with_what_is_sensitive_and_no_other(
    database_url: str, tmp_path: Path
) -> None:
    with exchange(database_url, tmp_path) as made:
        assert not reads(made, STRANGER, "Observation/o-hiv")
        open_record(made, STRANGER)
        for name in ("Patient/x", "Observation/o-x", "Observation/o-hiv"):
            assert reads(made, STRANGER, name), name
        assert not reads(made, STRANGER, "Observation/o-y")
        other = Requester("person", "a-2", roles=STRANGER.roles, practitioner="d-q")
        assert not reads(made, other, "Observation/o-x")


def test_opening_a_record_is_told_to_the_patient_the_trail_and_the_security_officer(
    database_url: str, tmp_path: Path
) -> None:
    with exchange(database_url, tmp_path) as made:
        open_record(made, STRANGER)
        with made.database.reading(requester=CITIZEN) as reading:
            (entry,) = made.repository.search(reading, "Communication", []).entries
        told = loads(entry.resource.body or b"")
        assert told["recipient"] == [{"reference": "Patient/x"}]
        assert told["reasonCode"][0]["coding"][0]["code"] == "ETREAT"
        assert "unconscious" not in str(told)
        with made.database.transaction() as transaction:
            events = transaction.connection.execute(
                "SELECT payload->>'patient', payload->>'reason' FROM outbox"
                " WHERE topic = 'access.break-glass'"
            ).fetchall()
            pending = transaction.connection.execute("SELECT body FROM audit_pending").fetchall()
        assert events == [("x", "ETREAT")]
        (record,) = [found for row in pending if (found := loads(bytes(row[0])))["kind"] == "break-glass"]
        assert (record["on"], record["detail"]["reason"]) == ("Patient/x", "ETREAT")


def test_what_was_opened_ends_by_itself(database_url: str, tmp_path: Path) -> None:
    with exchange(database_url, tmp_path, Ago(timedelta(minutes=61))) as made:
        open_record(made, STRANGER)
        assert not reads(made, STRANGER, "Observation/o-x")


@pytest.mark.parametrize(
    ("who", "given", "error"),
    [
        (CITIZEN, {}, ForbiddenError),
        (STRANGER, {"reason": "  "}, RequestError),
        (STRANGER, {"reason_code": "HRESCH"}, RequestError),
        (STRANGER, {"patient": "nobody"}, NotFoundError),
    ],
    ids=["citizen", "no words", "research", "no patient"],
)
def test_what_is_refused_opens_nothing(
    database_url: str, tmp_path: Path, who: Requester, given: dict[str, str], error: type[Exception]
) -> None:
    with exchange(database_url, tmp_path) as made:
        with pytest.raises(error):
            open_record(made, who, **given)
        with made.database.transaction() as transaction:
            assert transaction.connection.execute("SELECT count(*) FROM break_glass").fetchone() == (0,)
