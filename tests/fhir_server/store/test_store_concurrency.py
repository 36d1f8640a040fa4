"""Several transactions at once: no duplicate, no lost version, no deadlock."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_server.service import Repository
from hie.core.db.database import Database, Transaction
from hie.core.errors import LockError, VersionConflictError
from hie.core.fhir.json import JsonObject
from hie.core.ports import TransactionResult
from tests.fhir_server.store.bundles import SYSTEM, bundle, observation, patient, post, put, upsert

CountRows = Callable[[], dict[str, int]]


@pytest.fixture
def wide(database_url: str) -> Database:
    """A pool with a connection for each thread."""
    return Database.from_url(database_url, pool_size=32)


def at_once(count: int, do: Callable[[int], TransactionResult]) -> list[TransactionResult]:
    barrier = threading.Barrier(count)

    def run(number: int) -> TransactionResult:
        barrier.wait()
        return do(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_the_same_conditional_create_at_once_makes_one_resource(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    def create(_number: int) -> TransactionResult:
        with wide.transaction() as transaction:
            (result,) = repository.transact(
                transaction, [bundle(post(patient("1"), if_none_exist=f"identifier={SYSTEM}|1"))]
            )
            return result

    with wide:
        results = at_once(32, create)
    assert sorted(result.entries[0].status for result in results) == [200] * 31 + [201]
    assert len({result.entries[0].id for result in results}) == 1
    assert count_rows()["resource"] == 1


def test_the_same_update_as_create_at_once_makes_one_resource(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    def update(number: int) -> TransactionResult:
        given = patient(id="p", multipleBirthInteger=number)
        with wide.transaction() as transaction:
            (result,) = repository.transact(transaction, [bundle(put("Patient/p", given))])
            return result

    with wide:
        results = at_once(16, update)
    assert sorted(result.entries[0].version for result in results) == list(range(1, 17))
    counts = count_rows()
    assert (counts["resource"], counts["resource_history"]) == (1, 15)


def test_conditional_updates_at_once_lose_no_version(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    def update(number: int) -> TransactionResult:
        with wide.transaction() as transaction:
            (result,) = repository.transact(
                transaction, [bundle(upsert(patient("1", multipleBirthInteger=number)))]
            )
            return result

    with wide:
        results = at_once(16, update)
    assert sorted(result.entries[0].version for result in results) == list(range(1, 17))
    assert count_rows()["ix_token"] == 2


def test_only_one_update_with_the_same_if_match_succeeds(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    with wide.transaction() as transaction:
        repository.transact(transaction, [bundle(put("Patient/p", patient(id="p")))])

    def update(number: int) -> TransactionResult:
        given = patient(id="p", multipleBirthInteger=number)
        with wide.transaction() as transaction:
            (result,) = repository.transact(transaction, [bundle(put("Patient/p", given, if_match='W/"1"'))])
            return result

    with wide:
        results = at_once(8, update)
    errors = [result.error for result in results if result.error is not None]
    assert len(errors) == 7
    for error in errors:
        assert isinstance(error, VersionConflictError)
        assert error.message == "If-Match names version 1 of `Patient/p`, the current version is 2"
    assert count_rows()["resource_history"] == 1


def test_batches_over_the_same_resources_in_any_order_never_deadlock(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    people = [str(number) for number in range(12)]

    def batches(seed: int) -> TransactionResult:
        shuffle = random.Random(seed)  # noqa: S311 - an order, not a secret
        last = TransactionResult(())
        for round_number in range(6):
            chosen = shuffle.sample(people, 8)
            bundles = [
                bundle(
                    upsert(
                        patient(value, multipleBirthInteger=seed * 100 + round_number), f"urn:uuid:{value}"
                    ),
                    post(observation(f"urn:uuid:{value}")),
                )
                for value in chosen
            ]
            last = _transact_all(wide, repository, bundles)
        return last

    with wide:
        at_once(8, batches)
    counts = count_rows()
    assert counts["resource"] == len(people) + 8 * 6 * 8
    assert counts["outbox"] == 8 * 6 * 8


def _transact_all(
    database: Database, repository: Repository, bundles: Sequence[JsonObject]
) -> TransactionResult:
    with database.transaction() as transaction:
        results = repository.transact(transaction, bundles)
    assert [result.error for result in results] == [None] * len(bundles)
    return results[-1]


def test_a_create_waits_for_the_same_condition_of_an_open_transaction(
    wide: Database, repository: Repository
) -> None:
    condition = f"identifier={SYSTEM}|1"
    given = bundle(post(patient("1"), if_none_exist=condition))
    with wide, wide.transaction() as first:
        (one,) = repository.transact(first, [given])
        second: list[TransactionResult] = []

        def later() -> None:
            with wide.transaction() as transaction:
                second.extend(repository.transact(transaction, [given]))

        thread = threading.Thread(target=later)
        thread.start()
        _wait_until_somebody_waits(wide, first)
        assert second == []
        first.connection.commit()
        thread.join(timeout=30)
    assert (second[0].entries[0].status, second[0].entries[0].id) == (200, one.entries[0].id)


def _wait_until_somebody_waits(database: Database, holder: Transaction) -> None:
    row = holder.connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    for _ in range(1000):
        with database.transaction() as transaction:
            waiting = transaction.connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", (row[0],)
            ).fetchone()
        if waiting is not None and waiting[0] > 0:
            return
        threading.Event().wait(0.01)
    pytest.fail("the second transaction does not wait")


def test_a_deadlock_of_the_callers_making_is_a_lock_error_that_may_be_tried_again(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    with wide.transaction() as transaction:
        repository.transact(transaction, [bundle(put(f"Patient/{name}", patient(id=name))) for name in "ab"])
    barrier = threading.Barrier(2)

    def update(number: int) -> TransactionResult:
        given = [
            bundle(put(f"Patient/{name}", patient(id=name, multipleBirthInteger=number))) for name in "ab"
        ]
        with wide.transaction() as transaction:
            repository.transact(transaction, [given[number]])
            barrier.wait()
            (result,) = repository.transact(transaction, [given[1 - number]])
        return result

    def attempt(number: int) -> TransactionResult:
        try:
            return update(number)
        except LockError as error:
            return TransactionResult((), error)

    with wide:
        results = at_once(2, attempt)
    errors = [result.error for result in results if result.error is not None]
    assert [type(error) for error in errors] == [LockError]
    assert (errors[0].code, errors[0].status) == ("lock-error", 503)
    assert count_rows()["resource_history"] == 2


def test_more_conditional_creates_than_the_lock_table_holds_are_one_transaction(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    entries = [
        post(patient(str(number)), if_none_exist=f"identifier={SYSTEM}|{number}") for number in range(2_100)
    ]

    def create(_number: int) -> TransactionResult:
        with wide.transaction() as transaction:
            (result,) = repository.transact(transaction, [bundle(*entries)])
            return result

    with wide:
        first, second = at_once(2, create)
    assert first.error is second.error is None
    assert {entry.id for entry in first.entries} == {entry.id for entry in second.entries}
    assert count_rows()["resource"] == 2_100
