"""Profiles of senders: what a row changes, and what happens to senders without one."""

from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from hie.core.db.database import Database
from hie.core.errors import SenderDisabledError
from hie.core.settings import Settings
from hl7_gateway.er7.reader import read
from hl7_gateway.sender import Sender
from hl7_gateway.senders import Senders
from hl7_gateway.tables import SenderProfile
from tests.hl7_gateway.transport.admissions import admission, journal, outcome, rows
from tests.hl7_gateway.transport.conftest import CLOCK, Process


@pytest.fixture
def senders() -> Senders:
    return Senders(
        Settings(_env_file=None, time_zone="Asia/Urumqi", identifier_base="http://city.example/sid")
    )


def register(database: Database, **values: object) -> None:
    with database.transaction() as transaction:
        transaction.session.add(
            SenderProfile.model_validate({"application": "HIS", "facility": "H1"} | values)
        )


def of(senders: Senders, raw: bytes) -> Sender:
    return senders.of(read(raw, default_charset=senders.charset(raw)), raw)


def test_sender_without_a_profile_is_as_the_settings_say(database: Database, senders: Senders) -> None:
    senders.refresh(database)
    assert of(senders, admission(1)) == Sender(
        "HIS", "H1", zone=ZoneInfo("Asia/Urumqi"), charset="utf-8", identifier_base="http://city.example/sid"
    )


def test_profile_says_zone_character_set_and_namespace(database: Database, senders: Senders) -> None:
    register(database, zone="Asia/Tokyo", charset="GB 18030-2000", identifier_base="http://h1.example")
    senders.refresh(database)
    assert of(senders, admission(1)) == Sender(
        "HIS", "H1", zone=ZoneInfo("Asia/Tokyo"), charset="gb18030", identifier_base="http://h1.example"
    )


def test_sender_that_nobody_registered_is_entered_once(process: Process, database: Database) -> None:
    process(admission(1), admission(2, facility="市医院"))
    process(admission(3), admission(4, facility="H3"))
    with database.transaction() as transaction:
        found = transaction.session.exec(select(SenderProfile).order_by(SenderProfile.facility)).all()
        assert [(row.application, row.facility, row.is_enabled, row.is_registered) for row in found] == [
            ("HIS", "H1", True, False),
            ("HIS", "H3", True, False),
            ("HIS", "市医院", True, False),
        ]
        assert all(row.first_seen_at is not None for row in found)


def test_message_of_a_sender_that_is_switched_off_is_rejected_and_kept(
    process: Process, database: Database
) -> None:
    register(database, is_enabled=False)
    answers = [
        outcome(acknowledgment) for acknowledgment in process(admission(1), admission(2, facility="H2"))
    ]
    assert answers == [("AR", "1", "207"), ("AA", "2", "")]
    assert journal(database, "sender, state, error ->> 'class'") == [
        ("HIS|H1", "failed", SenderDisabledError.__name__),
        ("HIS|H2", "stored", None),
    ]


def test_character_set_of_the_profile_reads_a_message_that_declares_none(
    process: Process, database: Database
) -> None:
    register(database, charset="BIG-5")
    # The same bytes are other ideographs in GB18030, which would be tried first otherwise.
    for control_id in (1, 2):
        process(admission(control_id).replace(b"Test^One", "林志明^試驗".encode("big5")))
    found = rows(database, "SELECT convert_from(body, 'UTF8') FROM resource")
    found = [row for row in found if '"resourceType":"Patient"' in row[0]]
    assert len(found) == 1
    assert "林志明" in found[0][0]
    assert journal(database, "charset")[-1] == ("big5",)


def test_names_are_told_apart_by_application_and_facility(database: Database, senders: Senders) -> None:
    register(database, zone="Asia/Tokyo")
    senders.refresh(database)
    assert of(senders, admission(1, facility="H2")).zone == ZoneInfo("Asia/Urumqi")
    other = admission(1).replace(b"|HIS|", b"|LIS|")
    assert of(senders, other).zone == ZoneInfo("Asia/Urumqi")


def test_sender_named_by_a_universal_id_only_has_that_name(database: Database, senders: Senders) -> None:
    senders.refresh(database)
    sender = of(senders, admission(1).replace(b"|H1|HIE", b"|^1.2.3^ISO|HIE"))
    assert (sender.application, sender.facility) == ("HIS", "1.2.3")


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"zone": "Asia/Nowhere"}, "has the unknown zone Asia/Nowhere"),
        ({"charset": "KLINGON"}, "has the unknown character set KLINGON"),
    ],
)
def test_wrong_profile_fails_the_messages_of_its_sender_only(
    process: Process, database: Database, profile: dict[str, str], reason: str
) -> None:
    register(database, **profile)
    wrong, other = process(admission(1), admission(2, facility="H2"))
    assert (outcome(wrong), outcome(other)) == (("AE", "1", "207"), ("AA", "2", ""))
    err = read(wrong).first("ERR")
    assert err is not None
    assert err.first(8) == f"The profile of HIS|H1 {reason}"


@pytest.mark.parametrize("name", ["x" * 5000, "a\\X00\\b", "' OR 1=1", ""])
def test_name_of_any_kind_is_entered(process: Process, database: Database, name: str) -> None:
    assert outcome(process(admission(1, facility=name))[0])[0] in ("AA", "AE")
    assert rows(database, "SELECT count(*), max(length(facility)) <= 227 FROM sender") == [(1, True)]
    assert CLOCK.now() > rows(database, "SELECT first_seen_at FROM sender")[0][0]


def test_facilities_of_one_name_are_told_apart_by_their_universal_id(
    database: Database, senders: Senders
) -> None:
    register(database, zone="Asia/Tokyo")
    senders.refresh(database)
    first, second, plain = (
        of(senders, admission(1).replace(b"|H1|", f"|{facility}|".encode(), 1))
        for facility in ("H1^1.2.3^ISO", "H1^1.2.4^ISO", "H1")
    )
    assert (first.facility_id, second.facility_id, plain.facility_id) == ("1.2.3", "1.2.4", "")
    assert len({sender.system("MR") for sender in (first, second, plain)}) == 3
    # Profiles are by name: both are in the zone that is registered for it.
    assert first.zone == second.zone == ZoneInfo("Asia/Tokyo")
