"""The statements of the hot paths use indexes once the tables have grown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.index.hashing import hash32, hash64, param_id
from fhir_server.index.rows import IndexRows
from fhir_server.service import Repository
from fhir_server.store import planner
from fhir_server.store.arrays import BigInts, Blobs, Ints, SmallInts, Texts
from fhir_server.store.identity import TYPE_NUMBER
from fhir_server.store.lookup import (
    FIND_AND_LOCK_ONE,
    FIND_BY_KEY,
    FIND_BY_TOKEN,
    LOCK_ROWS,
    LOCK_ROWS_AND_TAKE_NUMBERS,
)
from fhir_server.store.read import COUNT_HISTORY, HISTORY, READ, VREAD
from fhir_server.store.write import Written, write_versions
from fhir_server.tables import INDEX_TABLES
from hie.core.db.database import Database, Transaction
from tests.fhir_server.store.bundles import SYSTEM, bundle, observation, patient, put, upsert


@pytest.fixture
def grown(database: Database, repository: Repository) -> Database:
    """4,000 resources, half of them with a second version, analyzed."""
    for start in range(0, 2000, 500):
        for gender in ("male", "female"):
            bundles = [
                bundle(
                    upsert(
                        patient(str(number), gender=gender, name=[{"family": f"F{number}"}]),
                        f"urn:x:{number}",
                    ),
                    put(f"Observation/o{number}", observation(f"urn:x:{number}", id=f"o{number}")),
                )
                for number in range(start, start + 500)
            ]
            with database.transaction() as transaction:
                results = repository.transact(transaction, bundles)
            assert all(result.error is None for result in results)
    with database.transaction() as transaction:
        transaction.connection.execute("ANALYZE")
    return database


def nodes(transaction: Transaction, statement: str, parameters: Any) -> list[dict[str, Any]]:
    """Return every node of the plan of `statement`."""
    row = transaction.connection.execute(
        f"EXPLAIN (FORMAT JSON) {statement}",
        parameters,
    ).fetchone()
    assert row is not None
    found: list[dict[str, Any]] = []
    stack = [row[0][0]["Plan"]]
    while stack:
        node = stack.pop()
        found.append(node)
        stack += node.get("Plans", [])
    return found


def assert_no_table_is_scanned(plan: Sequence[dict[str, Any]], expected_index: str) -> None:
    kinds = {node["Node Type"] for node in plan}
    assert "Seq Scan" not in kinds, plan
    assert expected_index in {node.get("Index Name") for node in plan}, plan


def test_read_vread_and_history_use_the_unique_index(grown: Database) -> None:
    names = {
        "type": TYPE_NUMBER["Patient"],
        "id": "x",
        "version": 1,
        "since": None,
        "low": None,
        "high": None,
        "before": 9,
        "count": 9,
    }
    with grown.transaction() as transaction:
        for statement in (VREAD, HISTORY, COUNT_HISTORY):
            plan = nodes(transaction, statement, names)
            assert_no_table_is_scanned(plan, "resource_type_id")
            assert "resource_history_pkey" in {node.get("Index Name") for node in plan}
        assert_no_table_is_scanned(
            nodes(transaction, READ, (TYPE_NUMBER["Patient"], "x")), "resource_type_id"
        )


def test_looking_up_identifiers_uses_the_token_index(grown: Database) -> None:
    values = [str(number) for number in range(160)]
    parameters = (
        Ints(range(160)),
        Ints([param_id("Patient", "identifier")] * 160),
        BigInts([hash64(value) for value in values]),
        Ints([hash32(SYSTEM)] * 160),
        Blobs([f'"{SYSTEM}"'.encode()] * 160),
    )
    with grown.transaction() as transaction:
        plan = nodes(transaction, FIND_BY_TOKEN, parameters)
        assert_no_table_is_scanned(plan, "ix_token_code")
        assert "resource_pkey" in {node.get("Index Name") for node in plan}


def test_looking_up_identities_and_locking_them_use_indexes(grown: Database) -> None:
    with grown.transaction() as transaction:
        keys = (SmallInts([TYPE_NUMBER["Observation"]] * 20), Texts([f"o{number}" for number in range(20)]))
        assert_no_table_is_scanned(nodes(transaction, FIND_BY_KEY, keys), "resource_type_id")
        rids = transaction.connection.execute("SELECT rid FROM resource LIMIT 20").fetchall()
        ordered = BigInts(sorted(row[0] for row in rids))
        assert_no_table_is_scanned(nodes(transaction, LOCK_ROWS, (ordered,)), "resource_pkey")
        both = nodes(transaction, LOCK_ROWS_AND_TAKE_NUMBERS, (ordered, 20))
        assert_no_table_is_scanned(both, "resource_pkey")
        one = nodes(transaction, FIND_AND_LOCK_ONE, (TYPE_NUMBER["Observation"], "o1"))
        assert_no_table_is_scanned(one, "resource_type_id")


def test_updating_superseding_and_removing_index_rows_use_indexes(grown: Database) -> None:
    with grown.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT rid, type, id, version, digest, body, last_updated FROM resource LIMIT 20"
        ).fetchall()
        versions = [
            Written(rid, (kind, identity), version + 1, version, 2, digest, body, IndexRows())
            for rid, kind, identity, version, digest, body, _ in rows
        ]
        statement = write_versions(inserted=[], updated=versions, superseded=[], last_updated=rows[0][6])
        plan = nodes(transaction, statement.text, statement.parameters)
        indexed = {node.get("Index Name") for node in plan}
        assert {"resource_pkey", "ix_token_rid", "ix_reference_rid", "ix_string_rid"} <= indexed, plan
        scanned = {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}
        # Nothing here has a number, a quantity or a URI: a table without a page is read as fast whole.
        empty = {"ix_number", "ix_quantity", "ix_uri", "ix_date", "ix_composite", "ix_text", "contained"}
        assert scanned <= empty, plan


def test_the_plan_of_a_write_that_is_kept_from_empty_tables_uses_indexes(database: Database) -> None:
    version = Written(1, (TYPE_NUMBER["Patient"], "x"), 2, 2, 2, bytes(16), b"{}", IndexRows())
    statement = write_versions(
        inserted=[], updated=[version], superseded=[], last_updated=datetime(2026, 1, 2, tzinfo=UTC)
    )
    with database.transaction() as transaction:
        transaction.connection.execute(f"SELECT {planner.BEGIN}".encode())
        plan = nodes(transaction, statement.text, statement.parameters)
        assert_no_table_is_scanned(plan, "resource_pkey")
        assert {f"{table.name}_rid" for table in INDEX_TABLES} <= {node.get("Index Name") for node in plan}
        statement.execute(transaction.connection)
        after = transaction.connection.execute(
            "SELECT current_setting('plan_cache_mode'), current_setting('enable_seqscan'),"
            " current_setting('enable_hashjoin'), current_setting('enable_mergejoin')"
        )
        assert after.fetchone() == ("force_custom_plan", "on", "on", "on")
