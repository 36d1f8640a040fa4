"""Words are indexed behind the commit: all of them, once, whoever dies or writes meanwhile."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fhir_server.full_text import metrics, ranges
from fhir_server.full_text.settled import Settled
from fhir_server.full_text.words_indexer import WordsIndexer
from fhir_server.index.rows import TextRow
from hie import wiring
from hie.core.fhir.json import JsonObject
from tests.fhir_server.full_text.written import (
    delete,
    exchange_of,
    found,
    index,
    indexer_of,
    patient,
    put,
    rows,
    work_through,
)


@pytest.fixture
def exchange(database_url: str) -> Iterator[wiring.Exchange]:
    with exchange_of(database_url) as made:
        yield made


def _ids(exchange: wiring.Exchange) -> list[tuple[str, int]]:
    """Return id and version of the resources in the index; "?" is one that is current no longer."""
    return sorted({(identifier, version) for identifier, version, _ in rows(exchange.database)})


def _waiting(exchange: wiring.Exchange) -> int:
    with exchange.database.reading() as transaction:
        return ranges.waiting(transaction.connection)


def test_write_indexes_no_words_and_the_worker_all(exchange: wiring.Exchange) -> None:
    put(exchange, *(patient(f"p{number}", f"word{number}") for number in range(1_200)))
    assert rows(exchange.database) == []
    assert _waiting(exchange) == 1_200
    index(exchange)
    assert len(_ids(exchange)) == 1_200
    assert _waiting(exchange) == 0


def test_update_and_delete_take_the_words_along(exchange: wiring.Exchange) -> None:
    put(exchange, patient("a", "before"), patient("b", "kept"), patient("c", "gone"))
    index(exchange)
    put(exchange, patient("a", "after"))
    delete(exchange, "Patient/c")
    assert _ids(exchange) == [("b", 1)]  # with the write already: nothing is found by what was
    assert found(exchange, "Patient", ("_text", "before")) == set()
    index(exchange)
    assert _ids(exchange) == [("a", 2), ("b", 1)]


def test_working_again_changes_nothing(exchange: wiring.Exchange) -> None:
    put(exchange, patient("a", "one"), patient("b", "two"))
    index(exchange)
    before = rows(exchange.database)
    with exchange.database.transaction() as transaction:
        transaction.connection.execute("UPDATE full_text_range SET above = 0 WHERE last IS NULL")
    index(exchange)
    assert rows(exchange.database) == before


def test_resource_that_someone_changes_is_not_waited_for(exchange: wiring.Exchange) -> None:
    put(exchange, patient("a", "one"), patient("b", "two"))
    indexer = indexer_of(exchange)
    assert indexer.work_one()  # divides
    with exchange.database.transaction() as writer:
        writer.connection.execute("SELECT 1 FROM resource WHERE id = 'a' FOR UPDATE")
        assert indexer.work_one()
        assert _ids(exchange) == [("b", 1)]
    work_through(indexer)
    assert _ids(exchange) == [("a", 1), ("b", 1)]
    assert _waiting(exchange) == 0


def test_version_that_is_superseded_while_its_words_are_made_leaves_none(exchange: wiring.Exchange) -> None:
    put(exchange, patient("a", "before"))

    class Meanwhile:
        is_first = True

        def words(self, resource: JsonObject) -> list[TextRow]:
            if self.is_first:
                self.is_first = False
                put(exchange, patient("a", "after"))
            return exchange.search.indexer.words(resource)

    indexer = WordsIndexer(exchange.database, Meanwhile())
    assert indexer.work_one()  # divides
    assert indexer.work_one()
    assert rows(exchange.database) == []
    assert found(exchange, "Patient", ("_text", "before")) == set()
    work_through(indexer)
    assert _ids(exchange) == [("a", 2)]
    assert found(exchange, "Patient", ("_text", "after")) == {"a"}


@pytest.mark.usefixtures("plain_bodies")
def test_version_whose_transaction_is_under_way_is_indexed_when_it_has_ended(
    exchange: wiring.Exchange,
) -> None:
    """Its number is lower than that of what is committed, and indexed, before it."""
    put(exchange, patient("first", "one"))
    indexer = indexer_of(exchange)
    with exchange.database.transaction() as slow:
        (number,) = slow.connection.execute("SELECT nextval('resource_seq')").fetchone() or (0,)
        put(exchange, patient("later", "three"))
        work_through(indexer)
        slow.connection.execute(
            "INSERT INTO resource (rid, type, id, key_hash, version, seq, method, is_deleted, last_updated,"
            " digest, body) SELECT %s, type, 'slow', key_hash, 1, %s, method, false, last_updated, digest,"
            " convert_to(replace(convert_from(body, 'UTF8'), 'first', 'slow'), 'UTF8')"
            " FROM resource WHERE id = 'first'",
            (number, number),
        )
        work_through(indexer)
        assert "slow" not in dict(_ids(exchange))
    work_through(indexer)
    assert _ids(exchange) == [("first", 1), ("later", 1), ("slow", 1)]
    assert _waiting(exchange) == 0


def test_number_is_settled_only_when_all_who_took_lower_ones_have_ended(exchange: wiring.Exchange) -> None:
    settled = Settled()

    def until() -> int:
        with exchange.database.reading() as transaction:
            return settled.until(transaction.connection)

    def take(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
        (number,) = connection.execute("SELECT nextval('resource_seq')").fetchone() or (0,)
        return int(number)

    assert until() == 0
    with exchange.database.transaction() as one, exchange.database.transaction() as two:
        first = take(one.connection)
        assert until() < first
        second = take(two.connection)
        one.connection.commit()
        assert until() == first  # though the other has begun meanwhile
        assert until() == first
        two.connection.rollback()
        assert until() == second


def test_workers_side_by_side_index_each_resource_once(exchange: wiring.Exchange) -> None:
    put(exchange, *(patient(f"p{number}", f"word{number}") for number in range(3_000)))
    made: list[str] = []

    class Counting:
        def words(self, resource: JsonObject) -> list[TextRow]:
            made.append(resource["id"])
            return exchange.search.indexer.words(resource)

    threads = [
        threading.Thread(target=work_through, args=(WordsIndexer(exchange.database, Counting()),))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index(exchange)
    assert len(_ids(exchange)) == 3_000
    assert len(made) == len(set(made)) == 3_000


def test_resource_whose_words_fail_does_not_keep_others_out(exchange: wiring.Exchange) -> None:
    put(exchange, *(patient(f"p{number}", f"word{number}") for number in range(20)))

    class Faulty:
        def words(self, resource: JsonObject) -> list[TextRow]:
            if resource["id"] == "p3":
                raise ZeroDivisionError
            if resource["id"] == "p4":
                return [(1, "'" + "x" * 3_000 + "'")]  # longer than a lexeme may be
            return exchange.search.indexer.words(resource)

    before = metrics.REFUSED._value.get()
    work_through(WordsIndexer(exchange.database, Faulty()))
    assert {identifier for identifier, _ in _ids(exchange)} == {f"p{n}" for n in range(20)} - {"p3", "p4"}
    assert metrics.REFUSED._value.get() == before + 2
    assert _waiting(exchange) == 0


def test_switching_on_later_indexes_the_past(database_url: str) -> None:
    with exchange_of(database_url, full_text=False) as off:
        put(off, patient("a", "one"), patient("b", "two"))
        assert off.words_indexer() is None
    with exchange_of(database_url) as on:
        index(on)
        assert _ids(on) == [("a", 1), ("b", 1)]
    with exchange_of(database_url, full_text=False) as off:
        put(off, patient("a", "three"), patient("c", "four"))
        assert _ids(off) == [("b", 1)]
    with exchange_of(database_url) as on:
        index(on)
        assert _ids(on) == [("a", 2), ("b", 1), ("c", 1)]
        assert found(on, "Patient", ("_text", "three")) == {"a"}


def test_connections_that_are_lost_lose_no_words(exchange: wiring.Exchange, database_url: str) -> None:
    put(exchange, *(patient(f"p{number}", f"word{number}") for number in range(2_000)))
    count = 0

    class Cut:
        def words(self, resource: JsonObject) -> list[TextRow]:
            nonlocal count
            count += 1
            if count % 700 == 0:
                with psycopg.connect(database_url, autocommit=True) as other:
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
            return exchange.search.indexer.words(resource)

    indexer = WordsIndexer(exchange.database, Cut())
    thread = threading.Thread(target=indexer.run)
    thread.start()
    try:
        while thread.is_alive() and (count < 2_700 or not _is_done(database_url)):
            thread.join(0.1)
    finally:
        indexer.stop()
        thread.join()
    assert len(_ids(exchange)) == 2_000


def _is_done(database_url: str) -> bool:
    try:
        with psycopg.connect(database_url) as connection:
            return ranges.waiting(connection) == 0
    except psycopg.OperationalError:
        return False  # it was this one that was cut
