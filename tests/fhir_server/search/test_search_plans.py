"""What PostgreSQL does in a large store: it reads indexes, and no more of them than a page needs."""

import re
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from psycopg import ClientCursor, Connection

from fhir_server.definitions.search_parameters import type_number
from fhir_server.index.indexer import Indexer
from fhir_server.interactions.negotiation import read_parameters
from fhir_server.search.choice import choose
from fhir_server.search.compile import Bounds
from fhir_server.search.densities import Densities
from fhir_server.search.parse import Parser
from fhir_server.search.service import SearchService
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.search import stored
from tests.fhir_server.search.conftest import NOW

SIZE = 24_000


def _observation(number: int) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "identifier": [{"system": "http://lab", "value": f"L{number}"}],
        "status": "final" if number % 10 else "preliminary",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"c{number % 50}"}]},
        "subject": {"reference": f"Patient/p{number % 2000}"},
        "effectiveDateTime": f"20{10 + number % 15}-{number % 12 + 1:02}-{number % 28 + 1:02}T08:00:00+08:00",
        "valueQuantity": {
            "value": number % 500,
            "unit": "mg",
            "system": "http://unitsofmeasure.org",
            "code": "mg",
        },
    }


def _patient(number: int) -> JsonObject:
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": "http://card", "value": f"C{number}"}],
        "name": [{"family": f"family{number}"}],
        "gender": "male" if number % 2 else "female",
        "birthDate": f"{1950 + number % 60}-01-01",
    }


@pytest.fixture(scope="module")
def large(module_database: Database, indexer: Indexer) -> Database:
    with module_database.transaction() as transaction:
        connection = transaction.connection
        stored.put(connection, indexer, [_patient(number) for number in range(2000)])
        stored.put(connection, indexer, [_observation(number) for number in range(SIZE - 2000)])
        stored.analyze(connection)
    return module_database


@pytest.fixture
def parser(settings: Settings, indexer: Indexer) -> Parser:
    return Parser(
        indexer,
        base_url=settings.base_url,
        zone=settings.zone,
        page_size=20,
        page_size_limit=1000,
    )


def _nodes(explained: JsonObject) -> Iterator[JsonObject]:
    yield explained
    for below in explained.get("Plans", ()):
        yield from _nodes(below)


def _explain(
    connection: Connection[tuple[Any, ...]],
    parser: Parser,
    resource_type: str,
    query: str,
    *,
    is_prepared: bool = False,
) -> list[JsonObject]:
    """Return the nodes of the plan of a first page, with what each really did.

    With `is_prepared` the statement is planned before its values are known, as the connection says.
    """
    number = type_number(resource_type)
    assert number is not None
    conditions = parser.parse(resource_type, read_parameters(query), NOW).conditions
    page = choose(connection, number, conditions, Densities(time.monotonic)).page(Bounds(), 21)
    text = page.text
    if is_prepared:
        places = count(1)
        prepared = re.sub("%s", lambda _: f"${next(places)}", page.text).replace("%%", "%")
        connection.execute(f"PREPARE page AS {prepared}")
        text = f"EXECUTE page({', '.join(['%s'] * len(page.params))})"
    cursor = ClientCursor(connection)
    row = cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", page.params).fetchone()
    if is_prepared:
        connection.execute("DEALLOCATE page")
    assert row is not None
    return list(_nodes(row[0][0]["Plan"]))


QUERIES = [
    ("Observation", "", {"resource_type_seq"}),
    ("Observation", "code=c7", {"ix_token_code"}),
    ("Observation", "code=http://loinc.org|c7", {"ix_token_code"}),
    ("Observation", "code=c7,c8,c9", {"ix_token_code"}),
    ("Observation", "status=final", {"ix_token_code"}),
    ("Observation", "identifier=http://lab|L77", {"ix_token_code"}),
    ("Observation", "subject=Patient/p5", {"ix_reference_target"}),
    ("Observation", "patient=p5&code=c5", {"ix_reference_target", "ix_token_code"}),
    ("Observation", "status=final&code=c7", {"ix_token_code"}),
    ("Observation", "date=2015-02-03", {"ix_date_(lo|hi)"}),
    ("Observation", "date=ge2024-12", {"ix_date_"}),
    ("Observation", "date=ge2012", {"resource_type_seq", "ix_date_rid"}),
    ("Observation", "value-quantity=7", {"ix_quantity_lo"}),
    ("Observation", "value-quantity=gt498", {"ix_quantity_lo", "ix_quantity_hi"}),
    (
        "Observation",
        "value-quantity=0.499|http://unitsofmeasure.org|g",
        {"ix_quantity_canonical"},
    ),
    ("Observation", "code-value-quantity=c7$gt450", {"ix_composite_(lo|key)"}),
    ("Observation", "code-value-quantity=c7$57", {"ix_composite_lo"}),
    ("Observation", "code-value-quantity=c7$gt1,c8$gt1,c9$gt1", {"ix_composite_key"}),
    (
        "Observation",
        "combo-code-value-quantity=http://loinc.org|c7$0.057|http://unitsofmeasure.org|g",
        {"ix_composite_(canonical|key)"},
    ),
    ("Observation", "combo-code=c7", {"ix_token_code"}),
    ("Observation", "_lastUpdated=gt2024-01-01T06:39:00Z", {"resource_type_last_updated"}),
    ("Observation", "_lastUpdated=lt2024-01-01T00:40:00Z", {"resource_type_last_updated"}),
    ("Observation", "_filter=code eq c7 and status eq preliminary", {"ix_token_code"}),
    ("Observation", "_id=o5,o6", {"resource_type_id"}),
    ("Observation", "code:not=c7", {"resource_type_seq", "ix_token_code"}),
    ("Observation", "patient.identifier=http://card|C5", {"ix_token_code", "ix_reference_target"}),
    ("Patient", "name=family77", {"ix_string_norm"}),
    ("Patient", "birthdate=1955-01-01&gender=male", {"ix_date_(lo|hi)", "ix_token_code"}),
    ("Patient", "_has:Observation:patient:identifier=L7", {"ix_token_code", "ix_reference_rid"}),
]


@pytest.mark.parametrize(("resource_type", "query", "indexes"), QUERIES)
def test_search_reads_indexes_and_no_whole_table(
    large: Database, parser: Parser, resource_type: str, query: str, indexes: set[str]
) -> None:
    with large.transaction() as transaction:
        nodes = _explain(transaction.connection, parser, resource_type, query)
    assert [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"] == []
    used = {str(node["Index Name"]) for node in nodes if "Index Name" in node}
    assert all(any(re.match(wanted, each) for each in used) for wanted in indexes), used


@pytest.mark.parametrize(("resource_type", "query", "indexes"), QUERIES)
def test_plan_that_is_made_for_any_values_reads_the_same_indexes(
    large: Database, parser: Parser, resource_type: str, query: str, indexes: set[str]
) -> None:
    with large.reading() as reading:
        nodes = _explain(reading.connection, parser, resource_type, query, is_prepared=True)
    assert [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"] == []
    used = {str(node["Index Name"]) for node in nodes if "Index Name" in node}
    assert all(any(re.match(wanted, each) for each in used) for wanted in indexes), used
    # Of 22,000 Observations no more than are collected, nor than a page of something common needs.
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 700


@pytest.mark.parametrize(
    "query", ["", "status=final", "code=c7", "code=c7,c8,c9", "date=ge2012", "status=final&code=c7"]
)
def test_search_for_something_common_stops_when_the_page_is_full(
    large: Database, parser: Parser, query: str
) -> None:
    with large.transaction() as transaction:
        nodes = _explain(transaction.connection, parser, "Observation", query)
    # Of 22,000 Observations at least 440 match; rows are counted over all loops of a node.
    touched = max(node["Actual Rows"] * node["Actual Loops"] for node in nodes)
    assert touched <= 700


@pytest.mark.parametrize("sort", ["date", "-date"])
@pytest.mark.parametrize("parameters", [[("status", "final")], [("status:not", "preliminary")], []])
def test_sort_of_much_by_date_reads_the_index_in_order_and_pages_through_equal_dates(
    large: Database, service: SearchService, sort: str, parameters: list[tuple[str, str]]
) -> None:
    numbers = [number for number in range(SIZE - 2000) if number % 10 or not parameters]
    dates = {number: str(_observation(number)["effectiveDateTime"]) for number in numbers}
    # Of equal dates the newest row comes first, whatever the direction.
    numbers.reverse()
    expected = sorted(numbers, key=dates.__getitem__, reverse=sort == "-date")
    found: list[str] = []
    cursor: str | None = None
    with large.transaction() as transaction:
        for _ in range(4):
            behind = [("_cursor", cursor)] if cursor else []
            page = service.search(
                transaction, "Observation", [*parameters, ("_sort", sort), ("_count", "300"), *behind]
            )
            found += [entry.resource.id for entry in page.entries]
            cursor = page.next_cursor
    assert found == [f"o{number}" for number in expected[:1200]]


def test_search_for_what_was_updated_long_ago_begins_there(large: Database, parser: Parser) -> None:
    with large.transaction() as transaction:
        nodes = _explain(transaction.connection, parser, "Observation", "_lastUpdated=lt2024-01-01T03:00:00Z")
    assert nodes[0]["Actual Rows"] == 21
    # More than 8,000 match, all of them older than the 13,000 that a walk from the newest would ask first.
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 700


@pytest.mark.parametrize(
    ("query", "first", "is_ordered", "is_dense"),
    [
        # 1,466 of 22,000, the newest among them: walked without counting on.
        ("value-quantity=gt466", None, False, True),
        # As many, none of them new: counted to the end, and collected.
        ("value-quantity=lt33", 0, False, False),
        # 440 have the code: it is walked, and asked for the other.
        ("status=final&code=c7", 1, True, False),
        # Many have both; the rarer one is walked.
        ("status=final&status=preliminary", 1, True, True),
        ("status=preliminary&status=final", 0, True, True),
        ("status=final&date=ge2012", 0, True, True),
        # Few have the date, whatever has the status.
        ("status=final&date=2015-02-03", 1, False, False),
        # The key of the composite is newest first, its range is asked of what is walked.
        ("code-value-quantity=c7$gt1,c8$gt1,c9$gt1", 1, True, True),
    ],
)
def test_search_begins_with_the_rarest_condition_or_walks_what_is_common(
    large: Database, parser: Parser, query: str, first: int | None, *, is_ordered: bool, is_dense: bool
) -> None:
    conditions = parser.parse("Observation", read_parameters(query), NOW).conditions
    with large.transaction() as transaction:
        chosen = choose(
            transaction.connection,
            type_number("Observation") or 0,
            conditions,
            Densities(time.monotonic),
        )
    assert (chosen.first, chosen.is_ordered, chosen.is_dense) == (first, is_ordered, is_dense)
