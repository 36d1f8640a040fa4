"""Pages in the order of `_sort`: keys are compared as what they are, not as they are written."""

from collections.abc import Sequence

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from hie.core.db.database import Database, Transaction
from hie.core.fhir.json import JsonObject, loads
from tests.fhir_server.search import stored

# Of so many versions the numbers have one, two and three digits.
NUMBERS = range(120)


def _observation(number: int) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final" if number % 3 else "amended",
        "code": {"text": "x"},
        "valueQuantity": {"value": loads(f"{number * 7 % 120}.5"), "unit": "mg"},
        "effectiveDateTime": f"2024-01-{number % 28 + 1:02}T00:00:0{number % 2}.{number % 7 + 1}Z",
    }


def _value(number: int) -> float:
    return number * 7 % 120 + 0.5


def _ids(
    service: SearchService, transaction: Transaction, parameters: Sequence[tuple[str, str]], count: int
) -> list[int]:
    found: list[int] = []
    cursor: str | None = None
    while True:
        given = [*parameters, ("_count", str(count)), *([("_cursor", cursor)] if cursor else [])]
        page = service.search(transaction, "Observation", given)
        found += [int(entry.resource.id[1:]) for entry in page.entries]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.fixture
def observations(database: Database, indexer: Indexer) -> Database:
    with database.transaction() as transaction:
        stored.put(transaction.connection, indexer, [_observation(number) for number in NUMBERS])
    return database


@pytest.mark.parametrize("count", [7, 50, 200])
def test_quantities_are_in_the_order_of_their_values_on_every_page(
    observations: Database, service: SearchService, count: int
) -> None:
    with observations.transaction() as transaction:
        ascending = _ids(service, transaction, [("_sort", "value-quantity")], count)
        descending = _ids(service, transaction, [("_sort", "-value-quantity")], count)
    assert ascending == sorted(NUMBERS, key=_value)
    assert descending == sorted(NUMBERS, key=_value, reverse=True)


@pytest.mark.parametrize("count", [7, 50, 200])
def test_a_second_key_of_versions_loses_and_repeats_nothing(
    observations: Database, service: SearchService, count: int
) -> None:
    with observations.transaction() as transaction:
        found = _ids(service, transaction, [("_sort", "status,-_lastUpdated")], count)
    assert found == sorted(NUMBERS, key=lambda number: (number % 3 != 0, -number))


@pytest.mark.parametrize("count", [7, 50])
def test_dates_are_in_the_order_of_time_down_to_parts_of_a_second(
    observations: Database, service: SearchService, count: int
) -> None:
    with observations.transaction() as transaction:
        found = _ids(service, transaction, [("_sort", "date")], count)
    assert [_observation(number)["effectiveDateTime"] for number in found] == sorted(
        _observation(number)["effectiveDateTime"] for number in NUMBERS
    )
    assert sorted(found) == list(NUMBERS)
