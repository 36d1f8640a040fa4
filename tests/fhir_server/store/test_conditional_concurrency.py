"""Conditional interactions and patches at once: one thing is made once, no change is lost."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest

from fhir_server.service import Repository
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation
from fhir_server.transaction.patch import Patch
from fhir_server.transaction.plan import Outcome
from hie.core.db.database import Database
from hie.core.errors import LockError
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import TransactionResult
from tests.fhir_server.store.bundles import SYSTEM, bundle, patient, post, put, upsert

CountRows = Callable[[], dict[str, int]]
_T = TypeVar("_T")
THREADS = 32


@pytest.fixture
def wide(database_url: str) -> Iterator[Database]:
    """A pool with a connection for each thread."""
    with Database.from_url(database_url, pool_size=THREADS) as opened:
        yield opened


def at_once(count: int, do: Callable[[int], _T]) -> list[_T]:
    barrier = Barrier(count)

    def run(number: int) -> _T:
        barrier.wait()
        return do(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def transact(database: Database, repository: Repository, made: JsonObject) -> TransactionResult:
    """Apply one Bundle; again when the database asks for it, as the server does."""
    for _ in range(10):
        try:
            with database.transaction() as transaction:
                return repository.transact(transaction, [made])[0]
        except LockError:
            continue
    raise AssertionError("ten deadlocks in a row")


@pytest.mark.parametrize(
    "criteria",
    [
        [f"identifier={SYSTEM}|1"],
        ["family=Zhang&birthdate=1980-01-01"],
        # The same in another order, or encoded otherwise.
        [
            "family=Zhang&birthdate=1980-01-01",
            "birthdate=1980-01-01&family=Zhang",
            "family=%5Ahang&birthdate=1980-01-01",
        ],
        # An identifier with more beside it meets the same identifier alone.
        [f"identifier={SYSTEM}|1", f"identifier={SYSTEM}|1&family=Zhang"],
        # Conditions of other kinds that mean the same person, whose resource has the identifier.
        [f"identifier={SYSTEM}|1", "family=Zhang&birthdate=1980-01-01", "birthdate=1980-01-01"],
    ],
    ids=["identifier", "search", "search in any order", "identifier and search", "of several kinds"],
)
def test_the_same_conditional_create_at_once_makes_one_resource(
    wide: Database, repository: Repository, count_rows: CountRows, criteria: Sequence[str]
) -> None:
    given = patient("1", name=[{"family": "Zhang"}], birthDate="1980-01-01")

    def create(number: int) -> TransactionResult:
        entry = post(given, if_none_exist=criteria[number % len(criteria)])
        # Half of them in a Bundle with other entries.
        others = [post(patient(f"other-{number}"))] if number % 2 else []
        return transact(wide, repository, bundle(entry, *others))

    results = at_once(THREADS, create)
    assert [result.error for result in results] == [None] * THREADS
    assert sorted(result.entries[0].status for result in results) == [200] * (THREADS - 1) + [201]
    assert len({result.entries[0].id for result in results}) == 1
    assert count_rows()["resource"] == 1 + THREADS // 2


def test_conditional_updates_by_search_at_once_lose_no_version(
    wide: Database, repository: Repository, count_rows: CountRows
) -> None:
    def update(number: int) -> TransactionResult:
        given = patient("1", name=[{"family": "Zhang"}], multipleBirthInteger=number)
        return transact(wide, repository, bundle(put("Patient?family=Zhang", given)))

    results = at_once(THREADS, update)
    assert sorted(result.entries[0].version for result in results) == list(range(1, THREADS + 1))
    counts = count_rows()
    assert (counts["resource"], counts["resource_history"]) == (1, THREADS - 1)


def count_up(resource: JsonObject) -> JsonObject:
    """A patch that depends on what it finds: every lost update is a number too small."""
    return {**resource, "multipleBirthInteger": resource["multipleBirthInteger"] + 1}


def patch(database: Database, repository: Repository, operation: Operation) -> Outcome:
    for _ in range(10):
        try:
            with database.transaction() as transaction:
                return repository.apply_one(transaction, operation)
        except LockError:
            continue
    raise AssertionError("ten deadlocks in a row")


@pytest.mark.parametrize("is_conditional", [False, True])
def test_patches_at_once_lose_no_update(
    wide: Database, repository: Repository, *, is_conditional: bool
) -> None:
    transact(wide, repository, bundle(put("Patient/p", patient("1", id="p", multipleBirthInteger=0))))
    criteria = parse("Patient", f"identifier={SYSTEM}|1") if is_conditional else None

    def run(_number: int) -> Outcome:
        aim = None if is_conditional else "p"
        return patch(
            wide,
            repository,
            Operation("PATCH", type="Patient", id=aim, criteria=criteria, patch=Patch(count_up)),
        )

    results = at_once(THREADS, run)
    assert sorted(result.version for result in results) == list(range(2, THREADS + 2))
    with wide.transaction() as transaction:
        stored = loads(repository.read(transaction, "Patient", "p").body or b"")
    assert stored["multipleBirthInteger"] == THREADS


def test_patches_and_updates_of_several_resources_in_any_order_lose_nothing(
    wide: Database, repository: Repository
) -> None:
    names = ["a", "b", "c"]
    transact(
        wide,
        repository,
        bundle(*(put(f"Patient/{name}", patient(name, id=name, multipleBirthInteger=0)) for name in names)),
    )

    def run(number: int) -> None:
        order = names[number % 3 :] + names[: number % 3]
        operations = [
            Operation(
                "PATCH", type="Patient", id=name, patch=Patch(count_up), expression=f"Bundle.entry[{at}]"
            )
            for at, name in enumerate(order)
        ]
        for _ in range(10):
            try:
                with wide.transaction() as transaction:
                    (result,) = repository.apply(transaction, [operations])
            except LockError:
                continue
            assert isinstance(result, list), result
            return
        raise AssertionError("ten deadlocks in a row")

    at_once(THREADS, run)
    with wide.transaction() as transaction:
        counts = [
            loads(repository.read(transaction, "Patient", name).body or b"")["multipleBirthInteger"]
            for name in names
        ]
    assert counts == [THREADS] * 3


def test_only_one_create_only_update_at_once_succeeds(wide: Database, repository: Repository) -> None:
    def update(number: int) -> TransactionResult:
        made = put("Patient/p", patient("1", id="p", multipleBirthInteger=number))
        made["request"]["ifNoneMatch"] = "*"
        return transact(wide, repository, bundle(made))

    results = at_once(THREADS, update)
    assert [result.entries[0].status for result in results if result.error is None] == [201]
    assert {result.error.status for result in results if result.error is not None} == {412}


def test_conditional_deletes_and_creates_at_once_leave_a_consistent_store(
    wide: Database, repository: Repository
) -> None:
    """A conditional delete removes every match that it saw; nothing is deleted twice or half."""

    def run(number: int) -> TransactionResult:
        if number % 2:
            return transact(wide, repository, bundle(upsert(patient(str(number % 8)))))
        made = {"request": {"method": "DELETE", "url": f"Patient?identifier={SYSTEM}|{(number + 1) % 8}"}}
        return transact(wide, repository, bundle(made))

    results = at_once(THREADS, run)
    assert [result.error for result in results] == [None] * THREADS
    with wide.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT (SELECT count(*) FROM resource WHERE is_deleted <> (body IS NULL)),"
            " (SELECT count(*) FROM ix_token t JOIN resource r USING (rid)"
            " WHERE r.is_deleted OR r.seq <> t.seq)"
        ).fetchone()
    assert rows == (0, 0)
