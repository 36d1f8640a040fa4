"""A first page knows of writers that have not ended, also of the one that began last."""

import pytest

from fhir_server.search.snapshot import UNDER_WAY
from hie.core.db.database import Database, Transaction


def _is_under_way(transaction: Transaction) -> bool:
    row = transaction.connection.execute(f"SELECT {UNDER_WAY}").fetchone()
    assert row is not None
    return bool(row[0])


@pytest.mark.parametrize("ended_before", [0, 3])
def test_a_writer_that_has_not_ended_is_known_while_no_later_one_has(
    database: Database, ended_before: int
) -> None:
    for _ in range(ended_before):
        with database.transaction() as ended:
            ended.connection.execute("SELECT pg_current_xact_id()")
    with database.transaction() as writing, database.reading() as reading:
        writing.connection.execute("SELECT pg_current_xact_id()")
        assert _is_under_way(reading)


def test_a_writer_is_known_after_a_later_one_has_ended(database: Database) -> None:
    with database.transaction() as writing, database.reading() as reading:
        writing.connection.execute("SELECT pg_current_xact_id()")
        with database.transaction() as later:
            later.connection.execute("SELECT pg_current_xact_id()")
        assert _is_under_way(reading)


def test_who_writes_takes_others_to_be_writing(database: Database) -> None:
    with database.transaction() as own:
        own.connection.execute("SELECT pg_current_xact_id()")
        assert _is_under_way(own)
