"""Connections that a restart of the database broke while they were idle are no affair of the clients."""

import psycopg
import pytest

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.interactions.test_bundle_interactions import bundle, entry

PATIENT: JsonObject = {"resourceType": "Patient", "id": "p", "gender": "male"}

REQUESTS = {
    "read": ("GET", "Patient/p", None),
    "search": ("GET", "Patient?gender=male", None),
    "history": ("GET", "Patient/p/_history", None),
    "capabilities": ("GET", "metadata", None),
    "operation": ("GET", "Patient/p/$everything", None),
    "GraphQL": ("POST", "$graphql", {"query": '{Patient(id:"p"){gender}}'}),
    "batch": ("POST", "", bundle("batch", entry("GET", "Patient/p"))),
    "update": ("PUT", "Patient/p", {**PATIENT, "gender": "female"}),
    "transaction": ("POST", "", bundle("transaction", entry("POST", "Patient", PATIENT))),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request_on_a_broken_connection_is_done_on_another(
    whole: Client, database_url: str, name: str
) -> None:
    method, url, body = REQUESTS[name]
    assert whole.put("Patient/p", json=PATIENT).status_code == 201
    warm = [whole.get("Patient/p"), whole.get("Patient/p/$everything")]
    assert [each.status_code for each in warm] == [200, 200]
    end_connections(database_url)
    answer = whole.request(method, url, json=body) if body is not None else whole.request(method, url)
    assert answer.status_code == 200, answer.text
    if name == "batch":
        assert answer.json()["entry"][0]["response"]["status"] == "200 OK"
    if name == "transaction":
        assert whole.get("Patient?_summary=count").json()["total"] == 2


def end_connections(database_url: str) -> None:
    """End every connection to the database but our own, as its restart does."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert ended is not None
    assert ended[0] >= 2
