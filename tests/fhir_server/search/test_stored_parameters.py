"""SearchParameter resources: registered, indexed anew, active; known to other processes within a second."""

from collections.abc import Callable

import pytest

from fhir_server.index.hashing import param_id
from fhir_server.index.indexer import Indexer
from fhir_server.search.reindex import Reindexer, Step
from fhir_server.search.service import SearchService
from hie.core.db.database import Database, Transaction
from hie.core.errors import UnknownSearchParameterError
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.search import stored


class Process:
    """One server process: its indexer, its searches, and a watch that the test sets."""

    def __init__(self, settings: Settings) -> None:
        self.seconds = 0.0
        self.service = SearchService(settings, monotonic=lambda: self.seconds)
        self.indexer: Indexer = self.service.indexer
        self.reindexer = Reindexer(self.indexer, self.service.stored_parameters)

    def put(self, transaction: Transaction, *resources: JsonObject) -> None:
        """Store `resources`, two seconds later."""
        self.seconds += 2
        self.service.stored_parameters.refresh(transaction.connection)
        stored.put(transaction.connection, self.indexer, list(resources))

    def find(self, transaction: Transaction, resource_type: str, name: str, value: str) -> set[str]:
        """Return the ids that a search two seconds later finds."""
        self.seconds += 2
        page = self.service.search(transaction, resource_type, [(name, value)])
        return {entry.resource.id for entry in page.entries}

    def reindex(self, transaction: Transaction, batch: int = 500) -> list[Step]:
        """Index all anew; return what each step did."""
        steps = [self.reindexer.step(transaction)]
        while steps[-1].cursor is not None:
            steps.append(self.reindexer.step(transaction, steps[-1].cursor, batch=batch))
        return steps


@pytest.fixture
def process(settings: Settings) -> Callable[[], Process]:
    return lambda: Process(settings)


def _patient(number: int, **content: object) -> JsonObject:
    return {"resourceType": "Patient", "id": f"p{number}", **content}


def _parameter(code: str, kind: str, expression: str, **content: object) -> JsonObject:
    found: JsonObject = {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"http://hie.example/fhir/SearchParameter/{code}",
        "name": code,
        "status": "active",
        "description": code,
        "code": code,
        "base": ["Patient"],
        "type": kind,
        "expression": expression,
    }
    found.update(content)
    return found


NATIONALITY = _parameter(
    "ethnicity",
    "token",
    "Patient.extension.where(url = 'http://hie.example/ethnicity').value",
)


def _of(code: str) -> JsonObject:
    return {
        "extension": [
            {"url": "http://hie.example/ethnicity", "valueCodeableConcept": {"coding": [{"code": code}]}}
        ]
    }


def test_parameter_is_registered_then_indexed_then_active(
    database: Database, process: Callable[[], Process]
) -> None:
    server = process()
    with database.transaction() as transaction:
        server.put(transaction, _patient(1, **_of("hui")), _patient(2, **_of("han")))
        with pytest.raises(UnknownSearchParameterError, match="not defined"):
            server.find(transaction, "Patient", "ethnicity", "hui")
        server.put(transaction, NATIONALITY)
        with pytest.raises(UnknownSearchParameterError, match="registered and waits for"):
            server.find(transaction, "Patient", "ethnicity", "hui")
        server.put(transaction, _patient(3, **_of("hui")))
        server.reindex(transaction)
        assert server.find(transaction, "Patient", "ethnicity", "hui") == {"p1", "p3"}
        assert server.find(transaction, "Patient", "ethnicity:not", "hui") == {"p2"}
        server.put(transaction, _patient(4, **_of("hui")))
        assert server.find(transaction, "Patient", "ethnicity", "hui") == {"p1", "p3", "p4"}


def test_reindex_goes_on_where_another_process_was_stopped(
    database: Database, process: Callable[[], Process]
) -> None:
    first, second = process(), process()
    with database.transaction() as transaction:
        first.put(transaction, *(_patient(number, **_of("hui")) for number in range(25)))
        first.put(transaction, NATIONALITY)
        step = first.reindexer.step(transaction)
        step = first.reindexer.step(transaction, step.cursor, batch=10)
        assert step.resources == 10
        seen = step.resources
        while step.cursor is not None:
            step = second.reindexer.step(transaction, step.cursor, batch=10)
            seen += step.resources
        assert seen == 25
        assert len(second.find(transaction, "Patient", "ethnicity", "hui")) == 20
        rows = transaction.connection.execute(
            "SELECT count(*) FROM ix_token WHERE param = %s GROUP BY rid", (param_id("Patient", "ethnicity"),)
        ).fetchall()
        assert rows == [(1,)] * 25


def test_other_processes_learn_of_a_parameter_within_a_second(
    database: Database, process: Callable[[], Process]
) -> None:
    writer, reader = process(), process()
    with database.transaction() as transaction:
        assert reader.service.search(transaction, "Patient", []).entries == ()
        writer.put(transaction, NATIONALITY)
        reader.seconds += 0.5
        with pytest.raises(UnknownSearchParameterError, match="not defined"):
            reader.service.search(transaction, "Patient", [("ethnicity", "hui")])
        reader.seconds += 0.6
        with pytest.raises(UnknownSearchParameterError, match="waits for"):
            reader.service.search(transaction, "Patient", [("ethnicity", "hui")])
        writer.reindex(transaction)
        reader.seconds += 1.1
        assert reader.service.search(transaction, "Patient", [("ethnicity", "hui")]).entries == ()


def test_changed_definition_waits_again_and_a_deleted_one_is_unknown(
    database: Database, process: Callable[[], Process]
) -> None:
    server = process()
    with database.transaction() as transaction:
        server.put(transaction, _patient(1, birthDate="1990-01-01", gender="male"))
        server.put(transaction, _parameter("kind", "token", "Patient.gender"))
        server.reindex(transaction)
        assert server.find(transaction, "Patient", "kind", "male") == {"p1"}
        server.put(transaction, _parameter("kind", "date", "Patient.birthDate"))
        with pytest.raises(UnknownSearchParameterError, match="waits for"):
            server.find(transaction, "Patient", "kind", "1990")
        server.reindex(transaction)
        assert server.find(transaction, "Patient", "kind", "1990") == {"p1"}
        stored.delete(transaction.connection, "SearchParameter", "kind")
        with pytest.raises(UnknownSearchParameterError, match="not defined"):
            server.find(transaction, "Patient", "kind", "1990")


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (_parameter("x", "string", "Patient.name.where(use = 'old').family"), "klein", {"p1"}),
        (
            _parameter("x", "string", "Patient.name.where(use = 'old' or use = 'maiden').family"),
            "kl",
            {"p1", "p2"},
        ),
        (
            _parameter("x", "token", "Patient.identifier.where(system.startsWith('urn:')).first()"),
            "7",
            {"p2"},
        ),
        (_parameter("x", "reference", "Patient.link.other", target=["Patient"]), "Patient/p1", {"p2"}),
        (_parameter("x", "uri", "Patient.identifier.system"), "urn:oid:1", {"p2"}),
        (_parameter("x", "date", "Patient.name.period", base=["Patient", "Person"]), "2001", {"p1"}),
        (
            _parameter(
                "x",
                "composite",
                "Patient.name",
                component=[
                    {
                        "definition": "http://hl7.org/fhir/SearchParameter/individual-family",
                        "expression": "family",
                    },
                    {
                        "definition": "http://hl7.org/fhir/SearchParameter/individual-given",
                        "expression": "given",
                    },
                ],
            ),
            "klein$b",
            set(),
        ),
    ],
)
def test_stored_parameter_of_each_type_is_found(
    database: Database,
    process: Callable[[], Process],
    parameter: JsonObject,
    value: str,
    expected: set[str],
) -> None:
    server = process()
    with database.transaction() as transaction:
        server.put(
            transaction,
            _patient(1, name=[{"use": "old", "family": "Klein", "period": {"start": "2001", "end": "2001"}}]),
            _patient(
                2,
                name=[{"use": "maiden", "family": "Klein", "given": ["Berta"]}],
                identifier=[{"system": "http://a", "value": "1"}, {"system": "urn:oid:1", "value": "7"}],
                link=[{"other": {"reference": "Patient/p1"}, "type": "seealso"}],
            ),
        )
        server.put(transaction, parameter)
        server.reindex(transaction)
        if not expected:
            with pytest.raises(UnknownSearchParameterError, match="composed of string, string"):
                server.find(transaction, "Patient", "x", value)
        else:
            assert server.find(transaction, "Patient", "x", value) == expected


def test_parameters_of_r4_cannot_be_replaced_and_broken_ones_say_why(
    database: Database, process: Callable[[], Process]
) -> None:
    server = process()
    with database.transaction() as transaction:
        server.put(transaction, _patient(1, gender="male", birthDate="1990"))
        server.put(
            transaction,
            _parameter("gender", "date", "Patient.birthDate"),
            _parameter("broken", "token", "Patient.name.("),
            _parameter("empty", "token", "Patient.name.nonsense"),
            _parameter("old", "token", "Patient.gender", status="retired"),
        )
        server.reindex(transaction)
        assert server.find(transaction, "Patient", "gender", "male") == {"p1"}
        for code, message in (("broken", "FHIRPath"), ("empty", "not supported"), ("old", "not defined")):
            with pytest.raises(UnknownSearchParameterError, match=message):
                server.find(transaction, "Patient", code, "x")


def test_reindex_waits_until_every_process_must_know_the_parameter(
    database: Database, process: Callable[[], Process]
) -> None:
    server = process()
    with database.transaction() as transaction:
        server.put(transaction, _patient(1))
        transaction.connection.execute("UPDATE resource SET last_updated = clock_timestamp()")
        assert server.reindexer.step(transaction).wait_seconds == 0
        server.put(transaction, NATIONALITY)
        transaction.connection.execute("UPDATE resource SET last_updated = clock_timestamp()")
        assert 0 < server.reindexer.step(transaction).wait_seconds <= 2
