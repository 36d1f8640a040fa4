"""The journal: what a message is the same as, how it is looked up, and what its columns take."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.db.database import Database
from hie.core.errors import NoMapError
from hl7_gateway import journal
from hl7_gateway.journal import Entry, Identity, ResentError, identify
from hl7_gateway.tables import MessageState
from tests.hl7_gateway.transport.admissions import rows
from tests.hl7_gateway.transport.conftest import CLOCK

STORED = Entry(
    id=None,
    identity=identify(b"raw", "HIS|H1", "1"),
    received_at=CLOCK.now(),
    sender="HIS|H1",
    control_id="1",
    event="ADT^A01",
    raw=b"raw",
    charset="utf-8",
    stage=None,
    error=None,
    report=None,
    ack_code="AA",
    resources=("Patient/1/_history/1",),
    reuses_control_id=False,
    resends=0,
    sent_at="20260101120000+0800",
    patients=("1",),
)
FAILED = replace(STORED, stage="convert", error=NoMapError(location="MSH-9"), ack_code="AR", resources=())


def write(database: Database, *entries: Entry) -> None:
    with database.transaction() as transaction:
        journal.write(transaction, entries)


def find(database: Database, *identities: Identity) -> list[tuple[bool, MessageState | None, bool]]:
    with database.transaction() as transaction:
        found = journal.find(transaction, identities)
    return [(known.id is not None, known.state, known.reuses_control_id) for known in found]


@given(st.tuples(st.binary(), st.text(), st.text()), st.tuples(st.binary(), st.text(), st.text()))
def test_messages_are_the_same_when_sender_control_id_and_bytes_are(
    first: tuple[bytes, str, str], second: tuple[bytes, str, str]
) -> None:
    assert (identify(*first) == identify(*second)) == (first == second)


def test_message_without_control_id_is_the_same_as_none() -> None:
    assert identify(b"raw", "", None).message_key is None
    assert identify(b"raw", "", "").message_key is not None


def test_find_tells_same_messages_from_reused_control_ids(database: Database) -> None:
    failed = replace(FAILED, identity=identify(b"failed", "HIS|H1", "2"))
    write(database, STORED, failed)
    assert find(
        database,
        identify(b"other", "HIS|H1", "1"),
        STORED.identity,
        identify(b"raw", "HIS|H2", "1"),
        failed.identity,
        identify(b"other", "HIS|H1", "2"),
        identify(b"raw", "", None),
    ) == [
        (False, None, True),
        (True, MessageState.STORED, False),
        (False, None, False),
        (True, MessageState.FAILED, False),
        (False, None, False),
        (False, None, False),
    ]


def test_same_message_is_not_written_twice(database: Database) -> None:
    write(database, STORED)
    with pytest.raises(ResentError):
        write(database, STORED)
    assert rows(database, "SELECT count(*) FROM journal") == [(1,)]


def test_messages_without_a_header_are_kept_each_time(database: Database) -> None:
    unreadable = replace(FAILED, identity=identify(b"?", "", None), control_id=None, event=None, charset=None)
    write(database, unreadable, unreadable)
    write(database, unreadable)
    assert rows(database, "SELECT count(*) FROM journal WHERE message_key IS NULL") == [(3,)]


def test_failed_message_that_is_stored_now_keeps_its_row(database: Database) -> None:
    write(database, FAILED)
    ((row,),) = rows(database, "SELECT id FROM journal")
    write(database, replace(STORED, id=row, resends=2))
    columns = "id, state, stage, error, ack_code, attempts, resends, resources"
    assert rows(database, f"SELECT {columns} FROM journal") == [  # noqa: S608 - columns of the test
        (row, "stored", None, None, "AA", 2, 2, ["Patient/1/_history/1"])
    ]
    with pytest.raises(ResentError):
        write(database, replace(STORED, id=row))


def test_error_is_kept_with_what_an_operator_needs(database: Database) -> None:
    write(database, FAILED)
    assert rows(database, "SELECT stage, error, ack_code, resources FROM journal") == [
        (
            "convert",
            {
                "class": "NoMapError",
                "message": "There is no map for this message type.",
                "condition": "200",
                "location": "MSH-9",
            },
            "AR",
            None,
        )
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET state = 'lost'",
        "UPDATE journal SET state = 'failed'",
        "UPDATE journal SET ack_code = 'OK'",
        "UPDATE journal SET error = '{}'",
    ],
)
def test_states_that_mean_nothing_are_refused(database: Database, statement: str) -> None:
    write(database, STORED)
    with pytest.raises(psycopg.errors.CheckViolation):
        rows(database, statement)


def test_find_reads_no_more_of_a_large_journal_than_it_needs(database: Database) -> None:
    with database.transaction() as transaction:
        # A sender that gives every message the same control id is the worst case.
        key = STORED.identity.message_key
        transaction.connection.execute(
            "INSERT INTO journal"
            " (received_at, sender, message_key, digest, raw, state, ack_code, reuses_control_id)"
            " SELECT now(), 's', CASE WHEN n %% 2 = 0 THEN %s ELSE decode(md5(n::text), 'hex') END,"
            " decode(md5(n::text), 'hex'), '', 'stored', 'AA', false FROM generate_series(1, 20000) AS n",
            (key,),
        )
    with psycopg.connect(
        database.engine.url.set(drivername="postgresql").render_as_string(False)
    ) as connection:
        connection.autocommit = True
        connection.execute("ANALYZE journal")
        identities = [identify(bytes((n,)), "HIS|H1", "1" if n % 2 else str(n)) for n in range(20)]
        keys = [identity.message_key for identity in identities]
        digests = [identity.digest for identity in identities]
        query = "EXPLAIN (ANALYZE, FORMAT JSON) " + journal._FIND
        ((plan,),) = connection.execute(query.encode(), (keys, digests)).fetchall()
    scanned = [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == "journal"]
    assert scanned
    assert all(node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan") for node in scanned)
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scanned) <= 40


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(found for child in plan.get("Plans", []) for found in nodes(child))]
