"""From bytes to committed resources: what is acknowledged, stored and journaled."""

import random
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import pytest

from hie.core.db.database import Database
from hie.core.settings import Settings
from hl7_gateway.conveyor import Received
from hl7_gateway.er7.reader import read
from tests.hl7_gateway.transport.admissions import admission, journal, outcome, resources, rows
from tests.hl7_gateway.transport.conftest import CLOCK, MakePipeline, Process

# A resource that the database refuses only when the transaction is about to end.
REFUSE_AT_COMMIT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF convert_from(NEW.body, 'UTF8') LIKE '%Poison%' THEN
        RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON resource
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def outcomes(acknowledgments: Sequence[bytes]) -> list[tuple[str, str, str]]:
    return [outcome(acknowledgment) for acknowledgment in acknowledgments]


def received(*messages: bytes) -> list[Received]:
    return [Received(message, CLOCK.now()) for message in messages]


def test_message_is_stored_and_acknowledged(process: Process, database: Database) -> None:
    assert outcomes(process(admission(1))) == [("AA", "1", "")]
    found = resources(database)
    assert (found["Patient"], found["Encounter"]) == (1, 1)
    assert journal(
        database, "sender, control_id, event, charset, state, stage, ack_code, attempts, resends"
    ) == [("HIS|H1", "1", "ADT^A01", "utf-8", "stored", None, "AA", 1, 0)]


def test_journal_has_the_bytes_of_the_block_and_names_every_version_written(
    process: Process, database: Database
) -> None:
    message = admission("字").replace(b"^One", "^字".encode())
    process(message)
    ((raw, written),) = journal(database, "raw, resources")
    assert raw == message
    stored = rows(
        database, "SELECT convert_from(body, 'UTF8')::json ->> 'resourceType', id, version FROM resource"
    )
    assert sorted(written) == sorted(f"{name}/{id_}/_history/{version}" for name, id_, version in stored)


def test_message_that_fails_does_so_alone(process: Process, database: Database) -> None:
    without_segment = admission("no PID").replace(b"\rPID|", b"\rZID|")
    without_map = admission("no map").replace(b"ADT^A01^ADT_A01", b"ADT^Z99")
    broken = b"MSH|^~\\&|HIS|H1|HIE|C|1||ADT^A01|broken|P|2.5||||||UNICODE UTF-8\rPID|1||\xff\xfe\xfa\x81"
    batch = [admission(1), b"hello", without_segment, broken, admission(2, patient="P2"), without_map, b""]
    assert outcomes(process(*batch)) == [
        ("AA", "1", ""),
        ("AR", "", "100"),
        ("AE", "no PID", "100"),
        ("AR", "broken", "102"),
        ("AA", "2", ""),
        ("AR", "no map", "200"),
        ("AR", "", "100"),
    ]
    columns = "control_id, state, stage, error ->> 'class', error ->> 'location', raw"
    assert journal(database, columns) == [
        ("1", "stored", None, None, None, batch[0]),
        (None, "failed", "read", "MessageSyntaxError", "MSH", batch[1]),
        ("no PID", "failed", "convert", "SegmentSequenceError", "PID", batch[2]),
        (None, "failed", "read", "EncodingError", "MSH-18", batch[3]),
        ("2", "stored", None, None, None, batch[4]),
        ("no map", "failed", "convert", "NoMapError", "MSH-9", batch[5]),
        (None, "failed", "read", "MessageSyntaxError", "MSH", batch[6]),
    ]
    assert resources(database)["Patient"] == 2


def test_err_names_segment_field_and_reason(process: Process) -> None:
    (acknowledgment,) = process(admission(1).replace(b"ADT^A01^ADT_A01", b"ADT^Z99"))
    err = read(acknowledgment).first("ERR")
    assert err is not None
    assert (err.raw(2), err.first(3, 2), err.first(4)) == ("MSH^1^9", "Unsupported message type", "E")
    assert "ADT^Z99" in err.first(8)


def test_resent_message_is_answered_again_and_stored_once(process: Process, database: Database) -> None:
    process(admission(1), admission(2, patient="P2"))
    before = resources(database), rows(database, "SELECT max(seq) FROM resource")
    for _ in range(3):
        assert outcomes(process(admission(2, patient="P2"), admission(1))) == [
            ("AA", "2", ""),
            ("AA", "1", ""),
        ]
    assert (resources(database), rows(database, "SELECT max(seq) FROM resource")) == before
    assert journal(database) == [("1", "stored", "AA", 1, 3), ("2", "stored", "AA", 1, 3)]


def test_copies_in_one_batch_are_stored_once(process: Process, database: Database) -> None:
    copies = [admission(1), admission(2, patient="P2"), admission(1), admission(1)]
    assert [code for code, _, _ in outcomes(process(*copies))] == ["AA"] * 4
    assert resources(database)["Patient"] == 2
    assert journal(database) == [("1", "stored", "AA", 1, 2), ("2", "stored", "AA", 1, 0)]


def test_copy_of_a_failed_message_gets_the_same_answer(process: Process, database: Database) -> None:
    failing = admission(1).replace(b"PID|", b"ZID|")
    assert outcomes(process(failing, failing)) == [("AE", "1", "100")] * 2
    assert journal(database) == [("1", "failed", "AE", 1, 1)]


def test_same_control_id_from_another_sender_is_another_message(process: Process, database: Database) -> None:
    process(admission(1), admission(1, facility="H2"))
    assert journal(database, "sender, state, reuses_control_id") == [
        ("HIS|H1", "stored", False),
        ("HIS|H2", "stored", False),
    ]


@pytest.mark.parametrize("is_together", [True, False])
def test_control_id_with_other_content_is_processed_and_noted(
    process: Process, database: Database, *, is_together: bool
) -> None:
    messages = [admission(1), admission(1, patient="P2")]
    answers = process(*messages) if is_together else [process(message)[0] for message in messages]
    assert outcomes(answers) == [("AA", "1", "")] * 2
    assert resources(database)["Patient"] == 2
    assert journal(database, "state, reuses_control_id") == [("stored", False), ("stored", True)]


@pytest.mark.parametrize("is_together", [True, False])
def test_control_id_with_other_content_is_refused_when_the_settings_say_so(
    make_pipeline: MakePipeline, database: Database, *, is_together: bool
) -> None:
    pipeline = make_pipeline(Settings(_env_file=None, control_id_reuse="reject"))
    messages = received(admission(1), admission(1, patient="P2"), admission(1))
    answers = (
        pipeline.process(messages)
        if is_together
        else [pipeline.process([message])[0] for message in messages]
    )
    assert outcomes(answers) == [("AA", "1", ""), ("AE", "1", "205"), ("AA", "1", "")]
    assert resources(database)["Patient"] == 1
    assert journal(database, "state, error ->> 'class', resends") == [
        ("stored", None, 1),
        ("failed", "DuplicateControlIdError", 0),
    ]


def test_control_id_of_a_failed_message_may_be_used_for_its_correction(
    make_pipeline: MakePipeline, database: Database
) -> None:
    pipeline = make_pipeline(Settings(_env_file=None, control_id_reuse="reject"))
    wrong = admission(1).replace(b"PID|", b"ZID|")
    assert outcomes(pipeline.process(received(wrong, admission(1)))) == [("AE", "1", "100"), ("AA", "1", "")]
    assert journal(database, "state") == [("failed",), ("stored",)]


def test_failed_message_is_processed_again_when_it_is_resent(
    make_pipeline: MakePipeline, database: Database
) -> None:
    make_pipeline().process(received(admission(1)))
    rows(database, "UPDATE sender SET is_enabled = false RETURNING id")
    assert outcomes(make_pipeline().process(received(admission(2)))) == [("AR", "2", "207")]
    rows(database, "UPDATE sender SET is_enabled = true RETURNING id")
    assert outcomes(make_pipeline().process(received(admission(2)))) == [("AA", "2", "")]
    assert journal(database, "control_id, state, stage, error, ack_code, attempts, resends") == [
        ("1", "stored", None, None, "AA", 1, 0),
        ("2", "stored", None, None, "AA", 2, 0),
    ]


def test_same_messages_to_several_processes_at_once_are_stored_once(
    make_pipeline: MakePipeline, database: Database
) -> None:
    messages = [admission(n, patient=f"P{n % 7}") for n in range(60)]
    answers: list[list[tuple[str, str, str]]] = []
    start = threading.Barrier(4)

    def send(order: int) -> None:
        pipeline = make_pipeline()
        mine = messages if order % 2 else messages[::-1]
        start.wait()
        parts = (mine[first : first + 10] for first in range(0, len(mine), 10))
        answers.extend(outcomes(pipeline.process(received(*part))) for part in parts)

    threads = [threading.Thread(target=send, args=(order,)) for order in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {code for batch in answers for code, _, _ in batch} == {"AA"}
    assert sum(map(len, answers)) == 240
    assert rows(database, "SELECT count(*), count(DISTINCT control_id), sum(resends) FROM journal") == [
        (60, 60, 180)
    ]
    assert resources(database)["Patient"] == 7


def test_message_that_the_database_refuses_at_commit_is_not_acknowledged_as_taken(
    process: Process, database: Database
) -> None:
    with database.transaction() as transaction:
        transaction.connection.execute(REFUSE_AT_COMMIT.encode())
    messages = [admission(1), admission(2, patient="P2", family="Poison"), admission(3, patient="P3")]
    assert outcomes(process(*messages)) == [("AA", "1", ""), ("AE", "2", "207"), ("AA", "3", "")]
    assert journal(database, "control_id, state, stage, error ->> 'class', resources IS NULL") == [
        ("1", "stored", None, None, False),
        ("2", "failed", "store", "InternalError", True),
        ("3", "stored", None, None, False),
    ]
    assert resources(database)["Patient"] == 2


def test_connections_that_the_server_ended_are_made_anew(process: Process, database: Database) -> None:
    process(admission(1))
    rows(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
    )
    assert outcomes(process(admission(2))) == [("AA", "2", "")]


def test_connections_that_end_at_any_moment_cost_nothing(
    make_pipeline: MakePipeline, database: Database, database_url: str
) -> None:
    finished = threading.Event()
    ended: list[tuple[bool]] = []
    chance = random.Random(1)  # noqa: S311 - any moment: also one that lets a slow machine finish a transaction

    def end_connections() -> None:
        with psycopg.connect(database_url, autocommit=True, application_name="ender") as connection:
            while not finished.wait(chance.choice((0.02, 0.05, 0.05, 0.4))):
                ended.extend(
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND application_name = 'hit'"
                    ).fetchall()
                )

    ender = threading.Thread(target=end_connections)
    ender.start()
    with Database.from_url(f"{database_url}{'&' if '?' in database_url else '?'}application_name=hit") as hit:
        pipeline = make_pipeline(on=hit, patience_seconds=60.0)
        answers = [
            code
            for first in range(0, 100, 5)
            for code, _, _ in outcomes(
                pipeline.process(received(*(admission(n, patient=f"P{n}") for n in range(first, first + 5))))
            )
        ]
    finished.set()
    ender.join()
    assert ended
    assert answers == ["AA"] * 100
    assert rows(database, "SELECT count(*), count(DISTINCT control_id) FROM journal") == [(100, 100)]
    assert resources(database)["Patient"] == 100


def test_nothing_is_acknowledged_as_taken_while_the_database_is_away(make_pipeline: MakePipeline) -> None:
    with Database.from_url("postgresql://nobody@127.0.0.1:1/none") as absent:
        pipeline = make_pipeline(on=absent, patience_seconds=0.2)
        for number in (1, 2):
            (acknowledgment,) = pipeline.process(received(admission(number)))
            assert outcome(acknowledgment) == ("AR", str(number), "207")
            err = read(acknowledgment).first("ERR")
            assert err is not None
            assert err.first(8) == "The database does not answer"


def test_database_that_comes_back_is_used_again(make_pipeline: MakePipeline, database: Database) -> None:
    with Database.from_url("postgresql://nobody@127.0.0.1:1/none") as absent:
        pipeline = make_pipeline(on=absent, patience_seconds=0.1)
        pipeline.process(received(admission(1)))
        absent.engine = database.engine
        assert outcomes(pipeline.process(received(admission(1)))) == [("AA", "1", "")]
    assert journal(database) == [("1", "stored", "AA", 1, 0)]


@pytest.mark.parametrize(
    "control_id", ["x" * 5000, "a\x00b", "\\X00\\", "\\S\\^&", "字" * 300, "'; DROP TABLE journal; --"]
)
def test_control_id_of_any_kind_is_journaled_and_dedupes(
    process: Process, database: Database, control_id: str
) -> None:
    message = admission(control_id)
    for _ in range(2):
        first, other = process(message, admission("other", patient="P2"))
        assert outcome(first)[0] in ("AA", "AE")
        assert outcome(other) == ("AA", "other", "")
    found = rows(database, "SELECT state, attempts + resends FROM journal WHERE control_id <> 'other'")
    assert found in ([("stored", 2)], [("failed", 2)])


def test_report_of_the_conversion_is_kept(process: Process, database: Database) -> None:
    process(admission(1) + b"ZZZ|secret\r")
    ((report,),) = journal(database, "report")
    assert ["ZZZ", 4, 10, "the segment has no place in the map of this message"] in report["unmapped"]
    assert "secret" not in str(report)


def test_received_at_is_the_time_of_arrival(make_pipeline: MakePipeline, database: Database) -> None:
    at = datetime(2026, 3, 1, 1, 2, 3, 456789, tzinfo=UTC)
    make_pipeline().process([Received(admission(1), at)])
    assert journal(database, "received_at") == [(at,)]


def test_acknowledgment_carries_the_time_in_the_zone_of_the_settings(process: Process) -> None:
    (acknowledgment,) = process(admission(1))
    assert read(acknowledgment).header.first(7).endswith("+0800")
