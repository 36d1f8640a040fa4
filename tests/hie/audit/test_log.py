"""The local log: what was answered for is in it whatever happens next, and comes into the chain once."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.audit.collecting import DAMAGED, Collector
from hie.core.audit.group_commit import GroupCommit
from hie.core.audit.log import LocalLog
from hie.core.audit.record import encode
from hie.core.audit.segment import MAGIC, frame, read_frames
from hie.core.db.database import Database
from hie.core.errors import UnavailableError
from tests.hie.audit.conftest import read_of

ENDLESS = 10_000_000


def bodies(count: int, start: int = 0) -> list[bytes]:
    return [encode(read_of(number), "web-1") for number in range(start, start + count)]


def patients(database: Database) -> list[str]:
    with database.transaction() as transaction:
        rows = transaction.connection.execute("SELECT patient FROM audit_event ORDER BY seq").fetchall()
    return [row[0] for row in rows]


def in_files(logs: Path) -> list[bytes]:
    return [
        body for path in sorted(logs.glob("*.log")) for body in read_frames(path, 0, 0, limit=ENDLESS).bodies
    ]


def test_what_was_appended_is_in_the_file(logs: Path) -> None:
    log = LocalLog(logs)
    log.append(bodies(3))
    assert in_files(logs) == bodies(3)
    log.append(bodies(2, 3))
    assert in_files(logs) == bodies(5)
    log.close()
    (path,) = logs.glob("*.log")
    assert path.stat().st_size == len(MAGIC) + sum(8 + len(body) for body in bodies(5))
    assert path.stat().st_mode & 0o077 == 0


def test_nothing_is_written_before_the_first_record(logs: Path) -> None:
    LocalLog(logs).close()
    assert not logs.exists()


def test_many_threads_and_coroutines_share_the_log(logs: Path) -> None:
    log = LocalLog(logs, segment_bytes=4096)

    def append(number: int) -> None:
        for each in range(20):
            log.append(bodies(1, number * 100 + each))

    async def write() -> None:
        group = GroupCommit(log)
        for _ in range(50):
            group.begin()
        await asyncio.gather(*(group.written(bodies(1, 1000 + number)) for number in range(50)))

    threads = [threading.Thread(target=append, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    asyncio.run(write())
    for thread in threads:
        thread.join()
    log.close()
    found = in_files(logs)
    assert len(list(logs.glob("*.log"))) > 1
    assert sorted(found) == sorted(
        [body for number in range(6) for body in bodies(20, number * 100)] + bodies(50, 1000)
    )


def test_requests_under_way_become_durable_together(logs: Path) -> None:
    log = LocalLog(logs)
    group = GroupCommit(log, delay_seconds=30)

    async def request(number: int) -> None:
        await group.written(bodies(1, number))
        group.end()

    async def serve() -> list[int]:
        for _ in range(4):
            group.begin()
        tasks = [asyncio.create_task(request(number)) for number in range(3)]
        await asyncio.sleep(0.05)
        early = len(in_files(logs))
        group.end()  # the fourth has nothing to record: nobody is waited for any more
        await asyncio.gather(*tasks)
        return [early, len(in_files(logs))]

    assert asyncio.run(serve()) == [0, 3]


def test_request_waits_for_others_only_for_a_moment(logs: Path) -> None:
    log = LocalLog(logs)
    group = GroupCommit(log, delay_seconds=0.01)

    async def serve() -> None:
        group.begin()
        group.begin()  # one that takes for ever
        await asyncio.wait_for(group.written(bodies(1)), timeout=20)

    asyncio.run(serve())
    assert in_files(logs) == bodies(1)


def test_record_larger_than_a_segment_gets_its_own(logs: Path) -> None:
    log = LocalLog(logs, segment_bytes=256)
    large = [b"x" * 10_000]
    log.append(large)
    log.append(bodies(1))
    log.close()
    assert sorted(in_files(logs)) == sorted([*large, *bodies(1)])


def test_log_that_cannot_be_written_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    log = LocalLog(tmp_path / "file" / "audit")
    with pytest.raises(UnavailableError, match="audit log"):
        log.append(bodies(1))
    with pytest.raises(UnavailableError, match="audit log"):
        asyncio.run(GroupCommit(log).written(bodies(1)))
    log.close()
    with pytest.raises(UnavailableError, match="closed"):
        log.append(bodies(1))


def test_collector_chains_what_a_running_process_wrote_and_leaves_its_file(
    database: Database, collector: Collector, logs: Path
) -> None:
    log = LocalLog(logs)
    log.append(bodies(3))
    assert collector.run() == 3
    assert collector.run() == 0
    log.append(bodies(2, 3))
    assert collector.run() == 2
    assert patients(database) == ["0", "1", "2", "3", "4"]
    assert len(list(logs.glob("*.log"))) == 1
    log.close()
    assert collector.run() == 0
    assert list(logs.iterdir()) == []
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT * FROM audit_segment").fetchall() == []


def test_collector_goes_on_in_a_file_with_more_than_one_round(
    database: Database, collector: Collector, logs: Path
) -> None:
    log = LocalLog(logs)
    log.append(bodies(25))
    log.close()
    assert [collector.round(10).chained for _ in range(4)] == [10, 10, 5, 0]
    assert patients(database) == [str(number) for number in range(25)]
    assert list(logs.iterdir()) == []


def test_round_that_was_not_committed_is_done_again(
    database: Database, collector: Collector, logs: Path
) -> None:
    log = LocalLog(logs)
    log.append(bodies(3))
    log.close()
    with database.transaction() as transaction:
        transaction.connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;"
            " CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON audit_chain"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()"
        )
    with pytest.raises(Exception, match="not now"):
        collector.run()
    assert len(list(logs.glob("*.log"))) == 1
    with database.transaction() as transaction:
        transaction.connection.execute("DROP TRIGGER at_commit ON audit_chain")
    assert collector.run() == 3
    assert patients(database) == ["0", "1", "2"]


def test_bytes_that_are_no_record_are_kept_and_said(
    database: Database, collector: Collector, logs: Path
) -> None:
    log = LocalLog(logs)
    log.append(bodies(3))
    log.close()
    (path,) = logs.glob("*.log")
    content = bytearray(path.read_bytes())
    content[-4] ^= 1
    path.write_bytes(content)
    assert collector.run() == 3
    assert collector.run() == 0
    assert [each.name for each in logs.iterdir()] == [path.stem + DAMAGED]
    with database.transaction() as transaction:
        rows = transaction.connection.execute("SELECT body FROM audit_event ORDER BY seq").fetchall()
    last = orjson.loads(rows[-1][0])
    assert (last["do"], last["status"], last["detail"]["file"]) == ("damaged-log", 500, path.name)
    assert [orjson.loads(row[0]).get("patients") for row in rows] == [["0"], ["1"], None]


def test_frame_that_a_running_process_is_writing_is_waited_for(
    database: Database, collector: Collector, logs: Path
) -> None:
    log = LocalLog(logs)
    log.append(bodies(1))
    (path,) = logs.glob("*.log")
    content, _ = frame(bodies(1, 1), read_frames(path, 0, 0, limit=9).checksum)
    position = read_frames(path, 0, 0, limit=9).position
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content[:20])
    assert collector.run() == 1
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)
    assert collector.run() == 1
    assert patients(database) == ["0", "1"]
    log.close()


@given(
    groups=st.lists(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4), max_size=5),
    cut=st.integers(min_value=0),
)
def test_every_whole_frame_before_a_cut_is_read(
    groups: list[list[bytes]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("segment") / "x.log"
    content, checksum, ends = MAGIC, 0, [len(MAGIC)]
    everything = [body for group in groups for body in group]
    for body in everything:
        text, checksum = frame([body], checksum)
        content += text
        ends.append(len(content))
    cut = len(MAGIC) + cut % (len(content) - len(MAGIC) + 1)
    path.write_bytes(content[:cut].ljust(len(content) + 16, b"\0"))
    found = read_frames(path, 0, 0, limit=ENDLESS)
    whole = sum(end <= cut for end in ends) - 1
    # zeros that stand for zeros change nothing
    assert found.bodies[:whole] == everything[:whole]
    assert len(found.bodies) in (whole, whole + 1)
    assert found.position == ends[len(found.bodies)]


APPENDING = """
import os, sys
from pathlib import Path
from hie.core.audit.group_commit import GroupCommit
from hie.core.audit.log import LocalLog
from hie.core.audit.record import encode
from tests.hie.audit.conftest import read_of
log = LocalLog(Path(sys.argv[1]))
number = 0
while True:
    log.append([encode(read_of(number), "web-1")])
    print(number, flush=True)
    number += 1
"""


def acknowledged(logs: Path, count: int) -> Sequence[int]:
    """Return the numbers that a process said were durable before it was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", APPENDING, str(logs)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(count)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout if line.endswith("\n")]
    return said


def test_killed_process_loses_no_record_that_was_answered_for(
    database: Database, collector: Collector, logs: Path
) -> None:
    said = [acknowledged(logs, count) for count in (1, 40, 200)]
    collector.run()
    found = patients(database)
    for numbers in said:
        for number in numbers:
            assert found.count(str(number)) >= sum(number in each for each in said)
    assert len(found) <= sum(len(each) for each in said) + len(said)
    assert list(logs.iterdir()) == []
