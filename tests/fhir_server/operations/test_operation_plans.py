"""The statements of $everything, $lastn and $document walk indexes, and no further than their page."""

from collections.abc import Callable, Iterator

import pytest

from fhir_server.compartments.definitions import load_compartments
from fhir_server.operations.newest import newest
from fhir_server.search.sql import Sql
from fhir_server.store.everything import Compartments, Place, Supporting, read_members
from fhir_server.store.identity import TYPE_NUMBER
from hie import wiring
from hie.core.db.database import Transaction
from hie.core.fhir.json import JsonObject

PATIENTS = 300
EACH = 10
COMPARTMENT = load_compartments()["Patient"]


def _record(number: int) -> list[JsonObject]:
    observations: list[JsonObject] = [
        {
            "resourceType": "Observation",
            "id": f"o{number}-{position}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": f"c{position % 3}"}]},
            "subject": {"reference": f"Patient/p{number:03}"},
            "performer": [{"reference": f"Practitioner/d{number}"}],
            "effectiveDateTime": f"2024-01-{position + 1:02}",
            "note": [{"text": "x" * 200}],
        }
        for position in range(EACH)
    ]
    patient = {"resourceType": "Patient", "id": f"p{number:03}"}
    return [patient, *observations, {"resourceType": "Practitioner", "id": f"d{number}"}]


@pytest.fixture
def grown(exchange: wiring.Exchange) -> wiring.Exchange:
    """300 patients with 10 observations each, analyzed."""
    for begin in range(0, PATIENTS, 50):
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for number in range(begin, begin + 50)
            for each in _record(number)
        ]
        with exchange.database.transaction() as transaction:
            bundle: JsonObject = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            (result,) = exchange.repository.transact(transaction, [bundle])
            assert result.error is None
    with exchange.database.transaction() as transaction:
        transaction.connection.execute("ANALYZE")
    return exchange


@pytest.fixture
def transaction(grown: wiring.Exchange) -> Iterator[Transaction]:
    with grown.database.transaction() as opened:
        yield opened


@pytest.fixture
def fetched(transaction: Transaction) -> Callable[[], int]:
    """Return what counts the rows of the resources that were fetched by index; no table was scanned."""

    def count() -> int:
        rows = transaction.connection.execute(
            "SELECT relname, seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables"
            " WHERE relname = 'resource' OR relname LIKE 'ix\\_%'"
        ).fetchall()
        assert rows
        assert {name: scans for name, scans, _ in rows if scans} == {}
        return sum(found or 0 for name, _, found in rows if name == "resource")

    return count


def _wanted(ids: list[str] | None) -> Compartments:
    return Compartments(
        TYPE_NUMBER["Patient"],
        ids,
        COMPARTMENT.types,
        COMPARTMENT.numbers(COMPARTMENT.types),
        Sql("true"),
        keeps_hidden=False,
    )


def test_the_compartment_of_one_patient(
    grown: wiring.Exchange, transaction: Transaction, fetched: Callable[[], int]
) -> None:
    members, has_more = grown.repository.members(transaction, _wanted(["p007"]), Place(), 100)
    assert (len(members), has_more) == (EACH + 1, False)
    assert fetched() == EACH + 2  # the patient is found first


def test_a_page_of_the_compartments_of_all_patients_reads_no_further(
    grown: wiring.Exchange, transaction: Transaction, fetched: Callable[[], int]
) -> None:
    place = grown.repository.members(transaction, _wanted(["p200"]), Place(), 3)[0][-1].place
    before = fetched()
    members, has_more = grown.repository.members(transaction, _wanted(None), place, 20)
    assert has_more
    owners = [member.owner for member in members]
    assert owners == ["p200"] * (EACH - 2) + ["p201"] * (EACH + 1) + ["p202"]
    assert fetched() - before < 40


def test_what_comes_along(
    grown: wiring.Exchange, transaction: Transaction, fetched: Callable[[], int]
) -> None:
    numbers = COMPARTMENT.numbers(COMPARTMENT.types)
    wanted = Supporting(numbers, [1], TYPE_NUMBER["Patient"], numbers, [1], Sql("true"))
    targets = [("Practitioner", "d7"), ("Practitioner", "nobody"), ("Observation", "o8-1")]
    found = grown.repository.supporting(transaction, targets, wanted)
    # The observation belongs to another patient.
    assert [(each.type, each.id) for each in found] == [("Practitioner", "d7")]
    assert fetched() <= 3
    assert [each.id for each in grown.repository.read_all(transaction, targets)] == ["d7", "o8-1"]
    assert fetched() <= 6


def test_the_newest_observations(
    grown: wiring.Exchange, transaction: Transaction, fetched: Callable[[], int]
) -> None:
    parameters = [("patient", "Patient/p007"), ("code", "http://loinc.org|c0,http://loinc.org|c1")]
    considered = grown.repository.considered(transaction, parameters)
    found = grown.repository.kept(transaction, newest(considered, 1))
    assert [each.id for each in found] == ["o7-9", "o7-7"]
    assert fetched() <= 2 * EACH


def test_a_page_ends_where_its_bodies_are_large(transaction: Transaction) -> None:
    whole, _ = read_members(transaction.connection, _wanted(["p007"]), Sql("true"), Place(), 100)
    pages: list[int] = []
    place, has_more = Place(), True
    seen: list[int] = []
    while has_more:
        page, has_more = read_members(
            transaction.connection, _wanted(["p007"]), Sql("true"), place, 100, most_bytes=1_500
        )
        pages.append(len(page))
        seen += [member.rid for member in page]
        place = page[-1].place
    assert seen == [member.rid for member in whole]
    assert len(pages) > 2
    # One that is too large alone stands alone.
    alone, has_more = read_members(
        transaction.connection, _wanted(["p007"]), Sql("true"), Place(), 100, most_bytes=1
    )
    assert (len(alone), has_more) == (1, True)
