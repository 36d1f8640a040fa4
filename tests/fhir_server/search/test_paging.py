"""Pages: order, cursors, and what they show while others write."""

import threading
from collections.abc import Sequence
from random import Random

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from hie.core.db.database import Database, Transaction
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject
from tests.fhir_server.search import stored

Parameters = Sequence[tuple[str, str]]


def _task(number: int, **more: object) -> JsonObject:
    return {
        "resourceType": "Task",
        "id": f"t{number}",
        "status": "requested" if number % 2 else "completed",
        "intent": "order",
        "authoredOn": f"2024-01-{number % 28 + 1:02}",
        **more,
    }


def _ids(
    service: SearchService, transaction: Transaction, parameters: Parameters, cursor: str | None = None
) -> tuple[list[str], str | None]:
    given = [*parameters, ("_cursor", cursor)] if cursor else list(parameters)
    page = service.search(transaction, "Task", given)
    return [entry.resource.id for entry in page.entries], page.next_cursor


def _all_pages(service: SearchService, transaction: Transaction, parameters: Parameters) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        ids, cursor = _ids(service, transaction, parameters, cursor)
        pages.append(ids)
        if cursor is None:
            return pages


@pytest.fixture
def tasks(database: Database, indexer: Indexer) -> Database:
    with database.transaction() as transaction:
        stored.put(transaction.connection, indexer, [_task(number) for number in range(10)])
    return database


def test_without_sort_the_newest_version_comes_first(
    tasks: Database, service: SearchService, indexer: Indexer
) -> None:
    with tasks.transaction() as transaction:
        stored.put(transaction.connection, indexer, [_task(3)])
        assert _ids(service, transaction, []) == (
            ["t3", "t9", "t8", "t7", "t6", "t5", "t4", "t2", "t1", "t0"],
            None,
        )


@pytest.mark.parametrize(
    "parameters",
    [
        [],
        [("status", "requested")],
        [("status", "requested,completed")],
        [("intent", "order"), ("status:not", "completed")],
        [("authored-on", "ge2024-01-03")],
        [("_id", "t1,t4,t7,t8")],
        [("_sort", "_lastUpdated")],
        [("_sort", "-_lastUpdated"), ("status", "completed")],
        [("_sort", "authored-on")],
        [("_sort", "status,-authored-on")],
        [("_sort", "-_id")],
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10])
def test_pages_are_the_whole_search_cut_into_pieces(
    tasks: Database, service: SearchService, parameters: list[tuple[str, str]], size: int
) -> None:
    with tasks.transaction() as transaction:
        whole, cursor = _ids(service, transaction, [*parameters, ("_count", "100")])
        assert cursor is None
        pages = _all_pages(service, transaction, [*parameters, ("_count", str(size))])
    assert [each for page in pages for each in page] == whole
    assert all(len(page) == size for page in pages[:-1])
    assert whole


def test_sort_keys_order_and_resources_without_the_element_come_last(
    database: Database, service: SearchService, indexer: Indexer
) -> None:
    with database.transaction() as transaction:
        stored.put(
            transaction.connection,
            indexer,
            [
                _task(1, authoredOn="2024-03-01", executionPeriod={"start": "2024-02-01"}),
                _task(2, authoredOn="2024-01-01"),
                _task(3, authoredOn="2024-03-01", executionPeriod={"start": "2024-01-01"}),
            ],
        )
        for sort, expected in {
            "authored-on,period": ["t2", "t3", "t1"],
            "-authored-on,period": ["t3", "t1", "t2"],
            "period": ["t3", "t1", "t2"],
            "-period": ["t3", "t1", "t2"],
            "status": ["t2", "t3", "t1"],
            "-status,_id": ["t1", "t3", "t2"],
            "_id": ["t1", "t2", "t3"],
            "_lastUpdated": ["t1", "t2", "t3"],
        }.items():
            assert (sort, _ids(service, transaction, [("_sort", sort)])[0]) == (sort, expected)


def test_count_zero_and_summary_count_give_the_total_and_no_resource(
    tasks: Database, service: SearchService
) -> None:
    with tasks.transaction() as transaction:
        for parameters in ([("_count", "0")], [("_summary", "count")]):
            page = service.search(transaction, "Task", [("status", "requested"), *parameters])
            assert (page.entries, page.next_cursor, page.total) == ((), None, 5)


@pytest.mark.parametrize(("asked", "total"), [("none", None), ("accurate", 5), ("estimate", 5)])
def test_total_is_counted_only_when_asked_for(
    tasks: Database, service: SearchService, asked: str, total: int | None
) -> None:
    with tasks.transaction() as transaction:
        page = service.search(
            transaction, "Task", [("status", "requested"), ("_total", asked), ("_count", "2")]
        )
    assert (len(page.entries), page.total) == (2, total)


def test_count_is_cut_at_the_limit_of_the_settings(tasks: Database, service: SearchService) -> None:
    with tasks.transaction() as transaction:
        answer = service.answer(transaction, "Task", [("_count", "999999999999")])
    assert answer.query.count == 1000


def test_cursor_that_was_edited_or_belongs_to_another_search_is_refused(
    tasks: Database, service: SearchService
) -> None:
    with tasks.transaction() as transaction:
        _, cursor = _ids(service, transaction, [("_count", "2"), ("status", "requested")])
        assert cursor is not None
        assert _ids(service, transaction, [("_count", "3"), ("status", "requested")], cursor)[0]
        for parameters, given in [
            ([("status", "completed")], cursor),
            ([], cursor),
            ([("status", "requested"), ("_sort", "_id")], cursor),
            *(
                ([("status", "requested")], cursor[:at] + "-" + cursor[at + 1 :])
                for at in range(0, len(cursor), 5)
            ),
            ([("status", "requested")], cursor[:-1]),
        ]:
            with pytest.raises(MalformedSearchError) as caught:
                _ids(service, transaction, parameters, given)
            assert caught.value.expression == "_cursor"


@pytest.mark.parametrize("sort", [None, "_lastUpdated", "-_lastUpdated"])
def test_resource_that_is_changed_between_pages_keeps_its_place(
    tasks: Database, service: SearchService, indexer: Indexer, sort: str | None
) -> None:
    parameters = [("_count", "3"), *([("_sort", sort)] if sort else [])]
    with tasks.transaction() as transaction:
        first, cursor = _ids(service, transaction, parameters)
        # One that was shown, one that was not, one new, one deleted, one that matches only now.
        stored.put(transaction.connection, indexer, [_task(number) for number in (0, 4, 9, 5, 77)])
        stored.put(transaction.connection, indexer, [_task(5)])
        stored.delete(transaction.connection, "Task", "t6")
        seen = list(first)
        while cursor:
            ids, cursor = _ids(service, transaction, parameters, cursor)
            seen += ids
    newest_first = [f"t{number}" for number in (9, 8, 7, 5, 4, 3, 2, 1, 0)]
    assert seen == (newest_first[::-1] if sort == "_lastUpdated" else newest_first)


def test_paging_under_concurrent_writes_shows_each_resource_once_and_loses_none(
    database: Database, service: SearchService, indexer: Indexer
) -> None:
    writers = 4
    everyone = {f"t{number}" for number in range(400)}
    with database.transaction() as transaction:
        stored.put(transaction.connection, indexer, [_task(number) for number in range(400)])
    stop = threading.Event()
    rounds = [0] * writers

    def write(part: int) -> None:
        random = Random(part)  # noqa: S311 - test data
        while not stop.is_set():
            # Each writer has resources of its own: two that change the same one would wait.
            chosen = random.sample(range(part, 400, writers), 8)
            new = 1000 * (part + 1) + rounds[part]
            with database.transaction() as transaction:
                stored.put(transaction.connection, indexer, [_task(number) for number in (*chosen, new)])
            rounds[part] += 1
            # A writer that starves while others number a thousand versions is beyond a snapshot (WINDOW).
            stop.wait(0.002)

    threads = [threading.Thread(target=write, args=(part,)) for part in range(writers)]
    for thread in threads:
        thread.start()
    try:
        for parameters in [[("_count", "15")], [("_count", "40"), ("intent", "order")]] * 3:
            seen: list[str] = []
            cursor: str | None = None
            while True:
                before = sum(rounds)
                with database.transaction() as transaction:
                    ids, cursor = _ids(service, transaction, parameters, cursor)
                seen += ids
                if cursor is None:
                    break
                while sum(rounds) < before + 2:
                    stop.wait(0.001)
            assert len(seen) == len(set(seen))
            assert everyone <= set(seen)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
