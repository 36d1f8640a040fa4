"""One transaction for raw SQL and SQLModel; commit at the edge."""

import pytest
from psycopg.errors import IntegrityError, ReadOnlySqlTransaction
from sqlalchemy import text

from hie.core.access import ANONYMOUS, SYSTEM
from hie.core.db.database import Database
from hie.core.errors import UnavailableError


def test_transaction_commits_on_a_clean_exit_and_rolls_back_on_an_exception(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE thing (n int)")
        transaction.connection.execute("INSERT INTO thing VALUES (1)")
    with pytest.raises(RuntimeError), database.transaction() as transaction:
        transaction.connection.execute("INSERT INTO thing VALUES (2)")
        raise RuntimeError
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT n FROM thing").fetchall() == [(1,)]


def test_session_and_connection_share_one_transaction(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE thing (n int)")
        transaction.session.execute(text("INSERT INTO thing VALUES (1)"))
        assert transaction.connection.execute("SELECT n FROM thing").fetchall() == [(1,)]


def test_constraint_that_fails_at_commit_raises_before_the_caller_can_answer(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE thing (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(IntegrityError), database.transaction() as transaction:
        transaction.connection.execute("INSERT INTO thing VALUES (1), (1)")
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT n FROM thing").fetchall() == []


def test_server_that_is_away_is_named_unavailable() -> None:
    away = Database.from_url("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(UnavailableError), away.transaction():
        pass


def test_connection_killed_within_a_transaction_is_named_unavailable_and_the_pool_recovers(
    database: Database,
) -> None:
    with pytest.raises(UnavailableError), database.transaction() as transaction:
        pid = transaction.connection.info.backend_pid
        with database.transaction() as other:
            other.connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        transaction.connection.execute("SELECT 1")
    with database.transaction() as transaction:
        assert transaction.connection.execute("SELECT 1").fetchone() == (1,)


def test_a_transaction_knows_its_requester(database: Database) -> None:
    with database.transaction() as transaction:
        assert transaction.requester == SYSTEM
    with database.transaction(requester=ANONYMOUS) as transaction:
        assert transaction.requester == ANONYMOUS


def test_reading_sees_what_is_committed_and_cannot_write(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE thing (n int)")
    with database.reading(requester=ANONYMOUS) as reading:
        assert reading.requester == ANONYMOUS
        assert reading.connection.execute("SELECT n FROM thing").fetchall() == []
        with database.transaction() as transaction:
            transaction.connection.execute("INSERT INTO thing VALUES (1)")
        assert reading.connection.execute("SELECT n FROM thing").fetchall() == [(1,)]
        with pytest.raises(ReadOnlySqlTransaction):
            reading.connection.execute("INSERT INTO thing VALUES (2)")
        assert reading.connection.execute("SELECT n FROM thing").fetchall() == [(1,)]


def test_server_that_is_away_is_named_unavailable_to_readers() -> None:
    away = Database.from_url("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(UnavailableError), away.reading():
        pass
