"""A version matches criteria exactly when a search with them finds it: by rows alone, and by asking."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection, sql
from sqlalchemy.engine import make_url

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from fhir_server.search.stored_look_up import StoredLookUp
from fhir_server.subscriptions.anchor import anchor_of, keys_of
from fhir_server.subscriptions.asked import which_hold
from fhir_server.subscriptions.changes import read_changes
from fhir_server.subscriptions.criteria import CriteriaReader
from fhir_server.subscriptions.holds import Version, all_hold
from hie.core.clock import SystemClock
from hie.core.db.database import Database, Transaction
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.search import stored
from tests.fhir_server.search.city import CARD, LOINC, OBSERVATIONS, OTHERS, PATIENTS, UCUM

SETTINGS = Settings(base_url="http://hie.example/fhir")
SEARCH = SearchService(SETTINGS)
CLOCK = SystemClock()

QUERIES = {
    "Patient": [
        f"identifier={CARD}|A1",
        "identifier=A1",
        "identifier=|no-system",
        f"identifier={CARD}|",
        "identifier:of-type=http://v2|MR|A1",
        "gender=female,other",
        "gender:not=male",
        "name=mul",
        "name:exact=Müller",
        "name:contains=nna",
        "family:missing=true",
        "birthdate=1980-05",
        "birthdate=gt1980-05-10",
        "birthdate=ge1980-05-17,lt1970",
        "birthdate=ne1980-05-17",
        "birthdate=sa1979",
        "birthdate=ap1980",
        "organization=Organization/h1",
        "organization.name=第一",
        "organization:missing=false",
        "general-practitioner:identifier=http://staff|D7",
        "_has:Observation:patient:code=2345-7",
        "_has:Observation:patient:value-quantity=gt5",
        "_id=zhang,ouyang",
        "_lastUpdated=ge2024-01-01",
        "_lastUpdated=lt2024-01-01T00:00:05Z",
        "_profile=http://hie.example/StructureDefinition/p",
        "_tag=http://t|vip",
        "_source:below=urn:source",
        "deceased=true",
        "phone=0371",
        "address-city:contains=州",
        "_filter=name co nna or gender eq male",
        "",
    ],
    "Observation": [
        "code=2345-7",
        f"code={LOINC}|2345-7,{LOINC}|29463-7",
        f"code:not={LOINC}|2345-7",
        "code:text=free",
        "status=final",
        "date=2024-03-10",
        "date=gt2024-03-15",
        "date=le2024-03-31",
        "date=eb2024-04-01",
        "value-quantity=5.4",
        f"value-quantity=5.40|{UCUM}|mmol/L",
        "value-quantity=gt50||kg",
        "value-quantity=ne100",
        "value-quantity:missing=true",
        f"code-value-quantity={LOINC}|2345-7$gt5",
        "code-value-string=x$ein",
        "subject=Patient/zhang",
        "patient.gender=male",
        "patient.gender=female",
        "patient._id=m",
        "focus:Patient.gender=female",
        "subject:Patient.organization.name=第一",
        "patient:identifier=nobody|x",
        "value-string=ein",
        "value-string:exact=Ein Längerer Text",
    ],
    "RiskAssessment": ["probability=0.05", "probability=gt5", "probability=le10", "probability=ap15"],
    "ValueSet": [
        "url=http://hie.example/fhir/ValueSet/labs",
        "url:below=http://hie.example/fhir",
        "description:contains=needle",
        "description=100%_of",
        "url:missing=false",
    ],
}
# What chains are followed into, and on from there.
CONTAINING: JsonObject = {
    "resourceType": "Observation",
    "id": "containing",
    "status": "final",
    "code": {"text": "x"},
    "contained": [
        {"resourceType": "Patient", "id": "f", "gender": "female"},
        {
            "resourceType": "Patient",
            "id": "m",
            "gender": "male",
            "managingOrganization": {"reference": "Organization/h1"},
        },
    ],
    "subject": {"reference": "#m"},
    "focus": [{"reference": "#f"}],
}
ALL = [*PATIENTS, *OBSERVATIONS, *OTHERS, CONTAINING]


@pytest.fixture(scope="module")
def module_city(server_url: str, template: str) -> Iterator[Database]:
    """The city in a database of this module."""
    name = f"{template}_matching"
    with psycopg.connect(server_url, autocommit=True) as maintenance:
        maintenance.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with Database.from_url(url) as database:
        with database.transaction() as transaction:
            stored.put(transaction.connection, SEARCH.indexer, ALL)
        yield database
    with psycopg.connect(server_url, autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _versions(connection: Connection[tuple[Any, ...]], indexer: Indexer, resource_type: str) -> list[Version]:
    changes = [
        {"type": resource_type, "id": each["id"], "version": 1, "method": "PUT"}
        for each in ALL
        if each["resourceType"] == resource_type
    ]
    return [each.current for each in read_changes(connection, indexer, changes) if each.current is not None]


def _found(transaction: Transaction, resource_type: str, query: str) -> set[str]:
    parameters = [tuple(each.split("=", 1)) for each in query.split("&") if each]
    found = SEARCH.selection(transaction, resource_type, parameters)  # type: ignore[arg-type] # pairs
    rows = transaction.connection.execute(
        f"SELECT r.id FROM ({found.text}) AS s JOIN resource r ON r.rid = s.rid",  # noqa: S608 - a selection
        found.params,
    )
    return {row[0] for row in rows}


SEARCHES = st.one_of(
    *(
        st.tuples(st.just(name), st.lists(st.sampled_from(queries), min_size=1, max_size=3).map("&".join))
        for name, queries in QUERIES.items()
    )
)


@pytest.mark.parametrize(
    ("resource_type", "query"), [(name, each) for name, queries in QUERIES.items() for each in queries]
)
def test_each_criterion_matches_what_a_search_finds(
    module_city: Database, resource_type: str, query: str
) -> None:
    _check(module_city, resource_type, query)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(search=SEARCHES)
def test_criteria_match_what_a_search_finds(module_city: Database, search: tuple[str, str]) -> None:
    _check(module_city, *search)


def _check(database: Database, resource_type: str, query: str) -> None:
    reader = CriteriaReader(SEARCH.indexer, SETTINGS)
    with database.transaction() as transaction:
        connection = transaction.connection
        criteria = reader.conditions(
            resource_type, query.replace("+", "%2B"), CLOCK.now(), StoredLookUp(connection)
        )
        expected = _found(transaction, resource_type, query)
        for version in _versions(connection, SEARCH.indexer, resource_type):
            is_found = version.id in expected
            assert which_hold(connection, [criteria.conditions], version) == ({0} if is_found else set())
            assert all_hold(criteria.conditions, version) in (None, is_found), version.id
            anchor = anchor_of(criteria.conditions)
            if is_found and anchor is not None:
                assert anchor & keys_of(version)
