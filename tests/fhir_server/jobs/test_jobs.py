"""Jobs: claimed once, saved after each step, resumed by another worker, cancelled, expired."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from fhir_server.jobs import queue
from fhir_server.jobs.job import JobKind, JobStoppedError, Step, Work
from fhir_server.jobs.runner import Runner
from fhir_server.jobs.tables import JobState
from hie.core.access import Requester
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.errors import NotFoundError, RequestError, UnavailableError

ALICE = Requester("person", "alice")
BOB = Requester("person", "bob")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class Counting:
    """Counts to `parameters.to`, one a step, and notes each number in a file of the job."""

    def __init__(self, at_step: Callable[[Work, int], None] = lambda _work, _number: None) -> None:
        self.at_step = at_step

    def step(self, work: Work) -> Step:
        """Count one further."""
        number = (work.job.cursor or {"number": 0})["number"] + 1
        self.at_step(work, number)
        with (work.folder / "numbers").open("a", encoding="ascii") as file:
            file.write(f"{number}\n")
        is_last = number == work.job.parameters["to"]
        return Step({"number": number}, f"{number} counted", {"sum": number} if is_last else None)


def runner(database: Database, folder: Path, kind: JobKind, lease: float = 5.0) -> Runner:
    return Runner(
        database,
        {"count": kind},
        folder=folder,
        clock=SystemClock(),
        lease=timedelta(seconds=lease),
        retention=timedelta(hours=1),
    )


def begin(database: Database, to: int = 3, kind: str = "count") -> UUID:
    with database.transaction(requester=ALICE) as transaction:
        return queue.enqueue(
            transaction,
            kind=kind,
            request="http://h/fhir/$count",
            parameters={"to": to},
            now=NOW,
            identity=uuid4(),
        )


def state(database: Database, identity: UUID) -> tuple[str, str, int]:
    with database.transaction(requester=ALICE) as transaction:
        job = queue.read(transaction, identity)
    return job.state, job.progress, (job.cursor or {"number": 0})["number"]


def numbers(folder: Path, identity: UUID) -> list[int]:
    return [int(line) for line in (folder / str(identity) / "numbers").read_text(encoding="ascii").split()]


def test_job_without_a_worker_waits_and_is_then_worked_step_by_step(
    database: Database, tmp_path: Path
) -> None:
    identity = begin(database)
    assert state(database, identity) == ("queued", "waiting for a worker", 0)
    seen: list[tuple[str, str, int]] = []
    kind = Counting(lambda work, _number: seen.append(state(database, work.job.id)))
    assert runner(database, tmp_path, kind).work_one()
    assert seen == [
        ("running", "waiting for a worker", 0),
        ("running", "1 counted", 1),
        ("running", "2 counted", 2),
    ]
    assert state(database, identity) == ("done", "3 counted", 3)
    with database.transaction(requester=ALICE) as transaction:
        job = queue.read(transaction, identity)
    assert (job.output, job.error, job.requester) == ({"sum": 3}, None, ALICE)
    assert job.expires_at is not None
    assert job.finished_at is not None
    assert job.expires_at - job.finished_at == timedelta(hours=1)
    assert not runner(database, tmp_path, kind).work_one()


def test_several_workers_take_each_job_once(database: Database, tmp_path: Path) -> None:
    identities = [begin(database, to=2) for _ in range(12)]
    runners = [runner(database, tmp_path, Counting()) for _ in range(3)]

    def work(one: Runner) -> None:
        while one.work_one():
            pass

    threads = [threading.Thread(target=work, args=(one,)) for one in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [numbers(tmp_path, identity) for identity in identities] == [[1, 2]] * 12


def test_job_of_a_worker_that_died_goes_on_from_its_last_saved_step(
    database: Database, tmp_path: Path
) -> None:
    identity = begin(database, to=4)
    with database.transaction() as transaction:
        job = queue.claim(transaction, ["count"], timedelta(seconds=0.3))
        assert job is not None
        assert queue.save(
            transaction, job, Step({"number": 2}, "2 counted"), now=NOW, retention=timedelta(hours=1)
        )
    other = runner(database, tmp_path, Counting())
    assert not other.work_one(), "the lease has not run out"
    time.sleep(0.35)
    assert other.work_one()
    assert numbers(tmp_path, identity) == [3, 4]
    with database.transaction() as transaction:
        late = Step({"number": 9}, "9 counted", {"sum": 9})
        assert not queue.save(transaction, job, late, now=NOW, retention=timedelta(hours=1))
        assert not queue.renew(transaction, job, timedelta(seconds=9))
    assert state(database, identity) == ("done", "4 counted", 4)


def test_step_that_is_kept_in_its_own_transaction_stays_or_goes_with_it(
    database: Database, tmp_path: Path
) -> None:
    identity = begin(database)
    with database.transaction() as transaction:
        job = queue.claim(transaction, ["count"], timedelta())
        assert job is not None
    with pytest.raises(RequestError), database.transaction() as transaction:
        queue.keep(transaction, job, Step({"number": 1}, "1 counted"))
        raise RequestError
    assert state(database, identity)[2] == 0
    with database.transaction() as transaction:
        queue.keep(transaction, job, Step({"number": 2}, "2 counted"))
    assert state(database, identity) == ("running", "2 counted", 2)
    assert runner(database, tmp_path, Counting()).work_one()
    with database.transaction() as transaction, pytest.raises(JobStoppedError):
        queue.keep(transaction, job, Step({"number": 9}, "9 counted"))


def test_lease_is_renewed_while_a_step_takes_longer_than_it(database: Database, tmp_path: Path) -> None:
    identity = begin(database, to=1)
    first = runner(database, tmp_path, Counting(lambda _work, _number: time.sleep(1.2)), lease=0.4)
    thread = threading.Thread(target=first.work_one)
    thread.start()
    time.sleep(0.9)
    assert not runner(database, tmp_path, Counting()).work_one()
    thread.join()
    assert numbers(tmp_path, identity) == [1]


def test_cancelled_job_stops_its_worker_and_leaves_nothing(database: Database, tmp_path: Path) -> None:
    identity = begin(database, to=1000)
    began = threading.Event()

    def slowly(work: Work, number: int) -> None:
        if number == 3:
            began.set()
            while True:
                work.check()
                time.sleep(0.01)

    working = runner(database, tmp_path, Counting(slowly), lease=0.4)
    thread = threading.Thread(target=working.work_one)
    thread.start()
    assert began.wait(20)
    with database.transaction(requester=ALICE) as transaction:
        queue.cancel(transaction, identity)
    thread.join(20)
    assert not thread.is_alive()
    with database.transaction(requester=ALICE) as transaction, pytest.raises(NotFoundError):
        queue.read(transaction, identity)
    assert numbers(tmp_path, identity) == [1, 2]
    deadline = time.monotonic() + 20
    while not working.remove_expired():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not (tmp_path / str(identity)).exists()
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT count(*) FROM job").fetchone() == (0,)


def test_worker_that_is_asked_to_stop_gives_its_job_back_at_once(database: Database, tmp_path: Path) -> None:
    identity = begin(database, to=3)
    working = runner(database, tmp_path, Counting(lambda work, _number: _stop_then_check(working, work)))
    working.run()
    assert state(database, identity) == ("running", "waiting for a worker", 0)
    assert runner(database, tmp_path, Counting()).work_one()
    assert state(database, identity)[0] == "done"


def _stop_then_check(working: Runner, work: Work) -> None:
    working.stop()
    work.check()


def test_error_of_a_step_fails_the_job_with_its_outcome(database: Database, tmp_path: Path) -> None:
    identity = begin(database)

    def refuse(_work: Work, number: int) -> None:
        if number == 2:
            raise RequestError("Two is refused", expression="to")

    assert runner(database, tmp_path, Counting(refuse)).work_one()
    with database.transaction(requester=ALICE) as transaction:
        job = queue.read(transaction, identity)
    assert (job.state, job.output) == (JobState.FAILED, None)
    assert job.error == {
        "status": 400,
        "outcome": {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": "error",
                    "code": "invalid",
                    "diagnostics": "Two is refused",
                    "expression": ["to"],
                }
            ],
        },
    }


def test_step_that_meets_an_absent_part_is_tried_again_later(database: Database, tmp_path: Path) -> None:
    identity = begin(database, to=2)
    failures = iter([True])

    def unavailable_once(_work: Work, number: int) -> None:
        if number == 2 and next(failures, False):
            raise UnavailableError("The part is away")

    working = runner(database, tmp_path, Counting(unavailable_once))
    assert working.work_one()
    assert state(database, identity) == ("running", "waiting after UnavailableError", 1)
    deadline = time.monotonic() + 20
    while not working.work_one():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert state(database, identity)[0] == "done"
    assert numbers(tmp_path, identity) == [1, 2]


def test_job_whose_step_ends_every_worker_fails_after_ten_attempts(
    database: Database, tmp_path: Path
) -> None:
    identity = begin(database)
    with database.transaction() as transaction:
        for _ in range(queue.MAXIMUM_ATTEMPTS):
            assert queue.claim(transaction, ["count"], timedelta()) is not None
    assert runner(database, tmp_path, Counting()).work_one()
    assert state(database, identity)[:2] == ("failed", "failed")


def test_job_is_nobodys_but_its_requesters(database: Database) -> None:
    identity = begin(database)
    with database.transaction(requester=BOB) as transaction:
        with pytest.raises(NotFoundError):
            queue.read(transaction, identity)
        with pytest.raises(NotFoundError):
            queue.cancel(transaction, identity)
    assert state(database, identity)[0] == "queued"


def test_worker_leaves_jobs_of_kinds_that_it_does_not_know(database: Database, tmp_path: Path) -> None:
    identity = begin(database, kind="newer")
    assert not runner(database, tmp_path, Counting()).work_one()
    assert state(database, identity)[0] == "queued"


def test_expired_result_is_removed_with_its_files(database: Database, tmp_path: Path) -> None:
    kept, gone = begin(database, to=1), begin(database, to=1)
    working = runner(database, tmp_path, Counting())
    assert working.work_one()
    assert working.work_one()
    with database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE job SET expires_at = clock_timestamp() - interval '1 s' WHERE id = %s", (gone,)
        )
    assert working.remove_expired() == 1
    assert [path.name for path in tmp_path.iterdir()] == [str(kept)]
