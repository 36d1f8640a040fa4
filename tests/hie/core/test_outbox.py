"""The outbox delivers at least once, keeps what fails, and needs no broker."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from hie.core import outbox
from hie.core.db.database import Database, Transaction
from hie.core.outbox import MAXIMUM_ATTEMPTS, Delivery, OutboxEvent

NOW = datetime(2999, 1, 1, tzinfo=UTC)


def _append(database: Database, count: int, topic: str = "thing") -> None:
    with database.transaction() as transaction:
        outbox.append(transaction, topic, [{"n": n} for n in range(count)])


def _left(database: Database) -> int:
    with database.transaction() as transaction:
        row = transaction.connection.execute("SELECT count(*) FROM outbox").fetchone()
    assert row is not None
    return int(row[0])


def test_event_is_delivered_once_in_order_and_removed(database: Database) -> None:
    _append(database, 5)
    seen: list[int] = []

    def handler(_transaction: Transaction, event: OutboxEvent) -> None:
        seen.append(event.payload["n"])

    with database.transaction() as transaction:
        assert outbox.deliver(transaction, {"thing": [handler]}, now=NOW) == Delivery(5, 0)
    assert seen == [0, 1, 2, 3, 4]
    assert _left(database) == 0


def test_event_of_a_transaction_that_rolls_back_does_not_exist(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as transaction:
        outbox.append(transaction, "thing", [{"n": 1}])
        raise RuntimeError
    assert _left(database) == 0


def test_failing_handler_undoes_its_own_writes_and_comes_again_later(database: Database) -> None:
    _append(database, 2)

    def handler(transaction: Transaction, event: OutboxEvent) -> None:
        transaction.connection.execute("CREATE TABLE IF NOT EXISTS written (n int)")
        transaction.connection.execute("INSERT INTO written VALUES (%s)", (event.payload["n"],))
        if event.payload["n"] == 1:
            raise ValueError("the mail server is away")

    with database.transaction() as transaction:
        assert outbox.deliver(transaction, {"thing": [handler]}, now=NOW) == Delivery(1, 1)
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT n FROM written").fetchall() == [(0,)]
        row = transaction.connection.execute("SELECT attempts, error, due_at FROM outbox").fetchone()
        assert row == (1, "ValueError: the mail server is away", NOW + timedelta(seconds=2))
        assert outbox.deliver(transaction, {"thing": [handler]}, now=NOW) == Delivery(0, 0)


def test_event_that_never_succeeds_waits_for_an_operator(database: Database) -> None:
    _append(database, 1)

    def handler(_transaction: Transaction, _event: OutboxEvent) -> None:
        raise ValueError

    when = NOW
    for _ in range(MAXIMUM_ATTEMPTS):
        with database.transaction() as transaction:
            assert outbox.deliver(transaction, {"thing": [handler]}, now=when) == Delivery(0, 1)
        when += timedelta(hours=2)
    with database.transaction() as transaction:
        assert outbox.deliver(transaction, {"thing": [handler]}, now=when) == Delivery(0, 0)
    assert _left(database) == 1


def test_workers_at_once_deliver_each_event_once(database: Database) -> None:
    _append(database, 400)
    seen: list[int] = []

    def work() -> None:
        while True:
            with database.transaction() as transaction:
                done = outbox.deliver(
                    transaction, {"thing": [lambda _t, e: seen.append(e.id)]}, now=NOW, limit=20
                )
            if not done.delivered:
                return

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(set(seen)) == 400
    assert _left(database) == 0
