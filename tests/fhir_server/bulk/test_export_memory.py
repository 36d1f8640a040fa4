"""An export holds a block of resources in memory, however many there are and however large."""

import tracemalloc

import pytest

from fhir_server.bulk.export import KIND, Export
from fhir_server.store.identity import TYPE_NUMBER
from tests.fhir_server.bulk.server import Bulk

_INSERT = """
INSERT INTO resource (rid, type, id, key_hash, version, seq, method, is_deleted, last_updated, digest, body)
SELECT n, %s, 'm' || n, n, 1, n, 2, false, clock_timestamp() - interval '1 minute', '',
    convert_to('{"resourceType":"Patient","id":"m' || n || '","text":"' || repeat('x', %s) || '"}', 'UTF8')
FROM generate_series(%s::int, %s::int) AS n
"""


def _fill(bulk: Bulk, first: int, last: int, size: int) -> None:
    with bulk.exchange.database.transaction() as transaction:
        transaction.connection.execute(_INSERT, (TYPE_NUMBER["Patient"], size, first, last))


def _peak_megabytes(bulk: Bulk, expected: int) -> float:
    """Return the most memory that Python allocates while it exports."""
    export = Export(
        bulk.exchange.repository,
        bulk.exchange.search.indexer,
        bulk.exchange.clock,
        base_url=bulk.base,
        file_resources=20_000,
    )
    bulk.kinds[KIND] = export
    kicked_off = bulk.kick_off("$export")
    tracemalloc.start()
    bulk.work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    manifest = bulk.status(kicked_off).json()
    assert sum(entry["count"] for entry in manifest["output"]) == expected
    return peak


@pytest.mark.parametrize("resources", [60_000, pytest.param(600_000, marks=pytest.mark.full)])
def test_memory_of_an_export_does_not_grow_with_the_number_of_resources(bulk: Bulk, resources: int) -> None:
    _fill(bulk, 1, 20_000, 500)
    few = _peak_megabytes(bulk, 20_000)
    _fill(bulk, 20_001, resources, 500)
    assert _peak_megabytes(bulk, resources) < few + 2


def test_memory_of_an_export_does_not_hold_many_large_resources(bulk: Bulk) -> None:
    _fill(bulk, 1, 40, 3_000_000)
    assert _peak_megabytes(bulk, 40) < 40, "120 MB are written"
