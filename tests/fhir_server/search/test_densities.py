"""What conditions are counted for, how far, and how long a count is remembered."""

from collections.abc import Iterator

import psycopg
import pytest

from fhir_server.definitions.search_parameters import type_number
from fhir_server.index.indexer import Indexer
from fhir_server.interactions.negotiation import read_parameters
from fhir_server.search.conditions import Condition
from fhir_server.search.densities import FIRST, Densities, density_probe
from fhir_server.search.parse import Parser
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.search import stored
from tests.fhir_server.search.conftest import NOW

UCUM = "http://unitsofmeasure.org"
OBSERVATION = type_number("Observation") or 0


def _observation(number: int) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"c{number % 100}"}], "text": "glucose"},
        "subject": {"reference": f"Patient/p{number % 10}"},
        "effectiveDateTime": f"2025-{number % 12 + 1:02}-01T08:00:00+08:00",
        "valueQuantity": {"value": number % 500, "system": UCUM, "code": "mg"},
    }


@pytest.fixture(scope="module")
def observations(module_database: Database, indexer: Indexer) -> Database:
    with module_database.transaction() as transaction:
        patients = [{"resourceType": "Patient", "id": f"p{at}", "gender": "male"} for at in range(10)]
        stored.put(transaction.connection, indexer, patients)
        stored.put(transaction.connection, indexer, [_observation(at) for at in range(1_000)])
    # Only of pages that VACUUM has seen does PostgreSQL believe an index alone.
    url = module_database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return module_database


def _conditions(settings: Settings, indexer: Indexer, query: str) -> tuple[Condition, ...]:
    parser = Parser(
        indexer, base_url=settings.base_url, zone=settings.zone, page_size=20, page_size_limit=1000
    )
    return parser.parse("Observation", read_parameters(query), NOW).conditions


@pytest.mark.parametrize(
    "query",
    [
        "date=2025-03",
        "date=ge2025-03",
        "value-quantity=gt3",
        "value-quantity=7",
        f"value-quantity=gt0.003|{UCUM}|g",
        "code-value-quantity=http://loinc.org|c7$gt3",
        f"code-value-quantity=http://loinc.org|c7$gt0.003|{UCUM}|g",
        "code=http://loinc.org|c7",
        "subject=Patient/p5",
        "code:text=gluc",
    ],
)
def test_counting_the_rows_of_a_condition_reads_indexes_only(
    observations: Database, settings: Settings, indexer: Indexer, query: str
) -> None:
    statement = density_probe(OBSERVATION, _conditions(settings, indexer, query), 512)
    with observations.transaction() as transaction:
        # A table of a thousand rows would be read whole.
        transaction.connection.execute("SET LOCAL enable_seqscan = off")
        transaction.connection.execute("SET LOCAL enable_bitmapscan = off")
        found = transaction.connection.execute(
            f"EXPLAIN (FORMAT JSON) {statement.text}", statement.params
        ).fetchone()
    assert found is not None
    scans = [
        (each["Node Type"], each.get("Index Name"))
        for each in _nodes(found[0][0]["Plan"])
        if each["Node Type"].endswith("Scan")
        and each["Node Type"] != "Subquery Scan"
        and each.get("Relation Name") != "resource"
    ]
    assert scans
    assert {kind for kind, _ in scans} == {"Index Only Scan"}, scans


def test_rows_are_counted_up_to_the_limit_and_further_when_more_are_asked_for(
    observations: Database, settings: Settings, indexer: Indexer
) -> None:
    densities = Densities(lambda: 0.0)
    conditions = _conditions(settings, indexer, "date=ge2025-01&date=2025-03")
    with observations.transaction() as transaction:
        first = densities.counts(transaction.connection, OBSERVATION, conditions)
        further = densities.counts(transaction.connection, OBSERVATION, conditions, 2_048)
        again = densities.counts(transaction.connection, OBSERVATION, conditions)
    assert first == {0: FIRST, 1: 84}
    assert further == again == {0: 1_000, 1: 84}


def test_rows_that_are_newest_first_are_estimated_from_the_newest(
    observations: Database, settings: Settings, indexer: Indexer
) -> None:
    densities = Densities(lambda: 0.0)
    conditions = _conditions(settings, indexer, "status=final&code=http://loinc.org|c7")
    with observations.transaction() as transaction:
        counts = densities.counts(transaction.connection, OBSERVATION, conditions)
    assert counts[1] == 10
    assert 1_000 <= counts[0] <= 1_030


def test_cap_grows_with_the_resources_of_the_type(observations: Database) -> None:
    densities = Densities(lambda: 0.0)
    with observations.transaction() as transaction:
        caps = [
            densities.cap(transaction.connection, type_number(name) or 0)
            for name in ("Observation", "Patient", "Basic")
        ]
    # The root of 200 x 1,000, of 200 x 10 and of nothing: all less than the first count.
    assert caps == [512, 512, 512]


def test_chain_is_not_counted_beside_a_condition_that_few_satisfy(
    observations: Database, settings: Settings, indexer: Indexer
) -> None:
    densities = Densities(lambda: 0.0)
    with observations.transaction() as transaction:
        few = densities.counts(
            transaction.connection,
            OBSERVATION,
            _conditions(settings, indexer, "patient.gender=male&code=http://loinc.org|c7"),
        )
        many = densities.counts(
            transaction.connection,
            OBSERVATION,
            _conditions(settings, indexer, "patient.gender=male&date=2025-03"),
        )
    assert few == {1: 10}
    assert many == {0: FIRST, 1: 84}


def test_count_is_remembered_for_a_minute(
    observations: Database, settings: Settings, indexer: Indexer
) -> None:
    now = [100.0]
    densities = Densities(lambda: now[0])
    conditions = _conditions(settings, indexer, "code=http://loinc.org|c99&date=2025-01")
    with observations.transaction() as transaction:
        connection = transaction.connection
        before = densities.counts(connection, OBSERVATION, conditions)[0]
        code = {"coding": [{"system": "http://loinc.org", "code": "c99"}]}
        more = [_observation(at) | {"code": code} for at in range(2_000, 2_005)]
        stored.put(connection, indexer, more)
        now[0] += 59.9
        remembered = densities.counts(connection, OBSERVATION, conditions)[0]
        now[0] += 0.2
        anew = densities.counts(connection, OBSERVATION, conditions)[0]
        connection.rollback()
    assert (before, remembered, anew) == (10, 10, 15)


def _nodes(explained: JsonObject) -> Iterator[JsonObject]:
    yield explained
    for below in explained.get("Plans", ()):
        yield from _nodes(below)
