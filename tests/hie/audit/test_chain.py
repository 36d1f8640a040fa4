"""The chain: what is written stays as it is, and what somebody changed all the same is found and located."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.audit.anchors import Anchors, read_file
from hie.core.audit.chain import GENESIS, Digest, extend, link, lock
from hie.core.audit.collecting import Collector
from hie.core.audit.months import month_of
from hie.core.audit.record import Record, encode
from hie.core.audit.retention import prune
from hie.core.audit.verification import Finding, Verification, verify
from hie.core.db.database import Database
from tests.hie.audit.conftest import NOW, SetClock, read_of

Chained = Callable[[int], Sequence[Record]]


def verified(database: Database, outside: Path | None = None) -> Verification:
    with database.transaction() as transaction:
        transaction.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return verify(transaction, read_file(outside) if outside else ())


def places(made: Verification) -> list[tuple[str, int, int]]:
    return [(finding.what, finding.seq, finding.until) for finding in made.findings]


def tamper(database: Database, statement: str, *parameters: object) -> None:
    """Do as an owner of the database who takes the guards away first."""
    with database.transaction() as transaction:
        connection = transaction.connection
        connection.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        connection.execute("ALTER TABLE audit_event_2026_03 DISABLE TRIGGER USER")
        assert connection.execute(statement, parameters).rowcount


def test_every_record_is_chained_once_and_in_order(database: Database, chained: Chained) -> None:
    records = chained(25)
    with database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT seq, id, patient FROM audit_event ORDER BY seq"
        ).fetchall()
        pending = transaction.connection.execute("SELECT count(*) FROM audit_pending").fetchone()
    assert rows == [(n + 1, record.id, str(n)) for n, record in enumerate(records)]
    assert pending == (0,)


def test_hash_of_a_record_is_as_documented(database: Database, chained: Chained) -> None:
    chained(2)
    with database.transaction() as transaction:
        (first, second) = transaction.connection.execute(
            "SELECT hash, body FROM audit_event ORDER BY seq"
        ).fetchall()
    micros = int(NOW.timestamp()) * 1_000_000
    expected = bytes(32)
    for seq, (found, body) in enumerate((first, second), start=1):
        text = expected + seq.to_bytes(8, "big") + micros.to_bytes(8, "big") + b"sha256" + body
        expected = hashlib.sha256(text).digest()
        assert found == expected


def test_sm3_is_that_of_the_standard() -> None:
    # GB/T 32905-2016, A.1, and example 1 of https://datatracker.ietf.org/doc/html/draft-sca-cfrg-sm3-02
    assert (
        hashlib.new("sm3", b"abc").hexdigest()
        == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    )


def test_intact_chain_has_no_finding(database: Database, chained: Chained, tmp_path: Path) -> None:
    chained(35)
    made = verified(database, tmp_path / "elsewhere" / "anchors")
    assert places(made) == []
    assert (made.count, made.first, made.last) == (35, 1, 35)
    assert made.anchors == 1


@pytest.mark.parametrize("seq", [1, 2, 19, 20])
def test_change_of_one_body_is_located(database: Database, chained: Chained, seq: int) -> None:
    chained(20)
    tamper(
        database,
        "UPDATE audit_event SET body = convert_to(replace(convert_from(body, 'UTF8'), 'dr-1', 'dr-2'),"
        " 'UTF8') WHERE seq = %s",
        seq,
    )
    assert places(verified(database)) == [("changed", seq, seq), ("column", seq, seq)]


def test_change_of_a_search_column_is_located(database: Database, chained: Chained) -> None:
    chained(20)
    tamper(database, "UPDATE audit_event SET patient = '99' WHERE seq = 7")
    made = verified(database)
    assert made.findings == [Finding("column", 7, 7, "`patient` is not what the record says")]


def test_missing_records_are_located(database: Database, chained: Chained) -> None:
    chained(20)
    tamper(database, "DELETE FROM audit_event WHERE seq IN (5, 6)")
    assert places(verified(database)) == [("missing", 5, 6)]


def test_missing_beginning_is_found(database: Database, chained: Chained) -> None:
    chained(20)
    tamper(database, "DELETE FROM audit_event WHERE seq <= 3")
    assert places(verified(database))[0] == ("missing", 1, 3)


def test_exchanged_records_are_located(database: Database, chained: Chained) -> None:
    chained(20)
    for seq, other in ((14, 99), (16, 14), (99, 16)):
        tamper(database, "UPDATE audit_event SET seq = %s WHERE seq = %s", other, seq)
    found = places(verified(database))
    assert {seq for _, seq, _ in found} == {14, 15, 16, 17}


def test_lost_end_is_found(database: Database, chained: Chained) -> None:
    chained(20)
    tamper(database, "DELETE FROM audit_event WHERE seq > 15")
    assert ("missing", 16, 20) in places(verified(database))


def test_lost_end_whose_traces_in_the_database_were_removed_is_found_by_the_anchors_outside(
    database: Database, chained: Chained, tmp_path: Path
) -> None:
    chained(20)
    tamper(database, "DELETE FROM audit_event WHERE seq > 15")
    with database.transaction() as transaction:
        connection = transaction.connection
        connection.execute("ALTER TABLE audit_anchor DISABLE TRIGGER USER")
        connection.execute("DELETE FROM audit_anchor")
        connection.execute(
            "UPDATE audit_chain SET seq = 15, hash = (SELECT hash FROM audit_event WHERE seq = 15)"
        )
    assert places(verified(database)) == []
    made = verified(database, tmp_path / "elsewhere" / "anchors")
    assert places(made) == [("anchor", 16, 20)]


def test_chain_computed_anew_is_found_by_the_anchors_outside(
    database: Database, chained: Chained, tmp_path: Path
) -> None:
    chained(12)
    with database.transaction() as transaction:
        connection = transaction.connection
        for table in ("audit_event", "audit_event_2026_03", "audit_anchor"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        rows = connection.execute(
            "SELECT seq, chained_at, digest, body FROM audit_event ORDER BY seq"
        ).fetchall()
        connection.execute("DELETE FROM audit_anchor")
        connection.execute("DELETE FROM audit_event")
        connection.execute("DELETE FROM audit_chain")
        bodies = [orjson.loads(row[3]) for row in rows]
        bodies[4]["who"]["practitioner"] = "somebody-else"
        extend(
            transaction,
            lock(transaction),
            [orjson.dumps(body) for body in bodies],
            digest="sha256",
            now=rows[0][1],
        )
    assert places(verified(database)) == []
    made = verified(database, tmp_path / "elsewhere" / "anchors")
    assert places(made) == [("anchor", 1, 12)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET status = 500",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "TRUNCATE audit_event_2026_03",
        "DELETE FROM audit_event_2026_03",
        "UPDATE audit_anchor SET seq = 1",
        "DELETE FROM audit_anchor",
        "TRUNCATE audit_anchor",
    ],
)
def test_database_refuses_to_change_the_trail(database: Database, chained: Chained, statement: str) -> None:
    chained(3)
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
        database.transaction() as transaction,
    ):
        transaction.connection.execute(statement)
    assert verified(database).count == 3


def test_chain_goes_on_under_another_digest(
    database: Database, collector: Collector, chained: Chained
) -> None:
    chained(3)
    digest: Digest = "sm3"
    with database.transaction() as transaction:
        extend(transaction, lock(transaction), [encode(read_of(9), "web-1")], digest=digest, now=NOW)
    collector.run()
    chained(2)
    made = verified(database)
    assert (places(made), made.count) == ([], 6)


def test_clock_that_was_set_back_does_not_break_the_order(
    database: Database, clock: SetClock, chained: Chained
) -> None:
    chained(2)
    clock.moment = NOW - timedelta(days=40)
    chained(2)
    assert places(verified(database)) == []
    with database.transaction() as transaction:
        rows = transaction.connection.execute("SELECT DISTINCT chained_at FROM audit_event").fetchall()
    assert rows == [(NOW,)]


def test_retention_drops_whole_months_and_the_rest_is_still_verified(
    database: Database, clock: SetClock, collector: Collector, chained: Chained, tmp_path: Path
) -> None:
    chained(12)
    clock.moment = datetime(2026, 4, 1, tzinfo=UTC)
    chained(12)
    clock.moment = datetime(2026, 10, 5, tzinfo=UTC)
    with database.transaction() as transaction:
        assert prune(transaction, clock.moment, 200) == []
    with database.transaction() as transaction:
        (pruned,) = prune(transaction, clock.moment, 186)
    assert (pruned.month, pruned.last.seq) == (month_of(NOW), 12)
    collector.run()
    made = verified(database, tmp_path / "elsewhere" / "anchors")
    assert places(made) == []
    assert (made.first, made.count) == (13, 12)
    tamper_april = "DELETE FROM audit_event_2026_04 WHERE seq = 13"
    with database.transaction() as transaction:
        transaction.connection.execute("ALTER TABLE audit_event_2026_04 DISABLE TRIGGER USER")
        transaction.connection.execute(tamper_april)
    assert places(verified(database)) == [("missing", 13, 13)]


def test_anchor_is_made_after_so_many_records_or_so_long(
    database: Database, clock: SetClock, chained: Chained, tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere" / "anchors"
    chained(1)
    chained(5)
    assert [anchor.seq for anchor in read_file(path)] == [1]
    chained(5)
    assert [anchor.seq for anchor in read_file(path)] == [1, 11]
    clock.moment += timedelta(minutes=5)
    chained(1)
    assert [anchor.seq for anchor in read_file(path)] == [1, 11, 12]
    path.unlink()
    with database.reading() as reading:
        fresh = Anchors(path, every=10, interval=timedelta(minutes=5), clock=clock)
        fresh.publish(reading)
    assert [anchor.seq for anchor in read_file(path)] == [1, 11, 12]


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=40), min_size=2, max_size=8, unique=True),
    digest=st.sampled_from(["sha256", "sm3"]),
    data=st.data(),
)
def test_no_two_chains_of_different_records_end_alike(
    bodies: list[bytes], digest: str, data: st.DataObject
) -> None:
    def end(of: Sequence[bytes]) -> bytes:
        found = GENESIS
        for seq, body in enumerate(of, start=1):
            found = link(digest, found, seq, NOW, body)
        return found

    other = data.draw(st.permutations(bodies).filter(lambda each: each != bodies))
    assert end(bodies) != end(other)
    assert end(bodies) != end(bodies[:-1])
    assert end(bodies) == end(list(bodies))
