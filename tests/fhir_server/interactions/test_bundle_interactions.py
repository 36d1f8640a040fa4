"""transaction and batch over HTTP: https://hl7.org/fhir/R4/http.html#transaction."""

import re
from collections.abc import Callable
from typing import Any

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client

CountRows = Callable[[], tuple[int, ...]]

BASE = "http://127.0.0.1:8000/fhir"
SYSTEM = "http://hospital.example/mrn"
PATIENT = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "1"}], "gender": "male"}
ALICE = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "Hb"},
    "subject": {"reference": ALICE},
}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def entry(
    method: str, url: str, resource: JsonObject | None = None, full_url: str | None = None, **request: str
) -> JsonObject:
    made: JsonObject = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def bundle(kind: str, *entries: JsonObject) -> JsonObject:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def outcome(code: str, diagnostics: str, expression: str) -> dict[str, Any]:
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics, "expression": [expression]}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def test_a_transaction_answers_in_request_order_and_gets_see_its_writes(client: Client) -> None:
    client.put("Patient/old", json={"resourceType": "Patient", "id": "old"})
    response = client.post(
        "",
        json=bundle(
            "transaction",
            entry("GET", f"Patient?identifier={SYSTEM}|1"),
            entry("POST", "Observation", OBSERVATION),
            entry("PUT", f"Patient?identifier={SYSTEM}|1", PATIENT, ALICE),
            entry("DELETE", "Patient/old"),
            entry("GET", "Patient/old/_history/1"),
        ),
    )
    assert response.status_code == 200, response.text
    made = response.json()
    assert (made["resourceType"], made["type"]) == ("Bundle", "transaction-response")
    found, observation, patient, deleted, old = made["entry"]
    identity = patient["response"]["location"].split("/")[1]
    last_modified = patient["response"]["lastModified"]
    assert INSTANT.fullmatch(last_modified)
    assert patient == {
        "response": {
            "status": "201 Created",
            "location": f"Patient/{identity}/_history/1",
            "etag": 'W/"1"',
            "lastModified": last_modified,
        }
    }
    assert observation["response"]["status"] == "201 Created"
    assert deleted == {
        "response": {"status": "204 No Content", "etag": 'W/"2"', "lastModified": last_modified}
    }
    assert found["response"] == {"status": "200 OK"}
    assert found["resource"]["type"] == "searchset"
    assert [each["resource"]["id"] for each in found["resource"]["entry"]] == [identity]
    assert old["resource"]["meta"]["versionId"] == "1"
    stored = client.get(observation["response"]["location"]).json()
    assert stored["subject"] == {"reference": f"Patient/{identity}"}


def test_a_transaction_may_ask_for_representations_and_outcomes(client: Client) -> None:
    given = bundle("transaction", entry("PUT", "Patient/p", {"resourceType": "Patient", "id": "p"}))
    made = client.post("", json=given, headers={"prefer": "return=representation"}).json()
    assert made["entry"][0]["resource"] == client.get("Patient/p").json()
    again = client.post("", json=given, headers={"prefer": "return=representation"}).json()
    assert again["entry"][0]["resource"] == made["entry"][0]["resource"]
    assert again["entry"][0]["response"]["status"] == "200 OK"
    told = client.post("", json=given, headers={"prefer": "return=OperationOutcome"}).json()
    assert told["entry"][0]["response"]["outcome"]["issue"][0]["diagnostics"] == (
        "`Patient/p` is unchanged or updated"
    )


def test_a_transaction_whose_last_get_fails_writes_nothing(client: Client, count_rows: CountRows) -> None:
    response = client.post(
        BASE,
        json=bundle("transaction", entry("POST", "Patient", PATIENT), entry("GET", "Patient/nobody")),
    )
    assert response.status_code == 404
    assert response.json() == outcome(
        "not-found", "`Patient/nobody` does not exist", "Bundle.entry[1].request.url"
    )
    assert count_rows() == (0, 0, 0, 0)


def test_a_transaction_with_an_invalid_resource_writes_nothing(client: Client, count_rows: CountRows) -> None:
    response = client.post(
        f"{BASE}/",
        json=bundle(
            "transaction",
            entry("POST", "Patient", PATIENT),
            entry("POST", "Patient", {"resourceType": "Patient", "birthDate": 7}),
        ),
    )
    assert response.status_code == 422
    assert response.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.birthDate"]
    assert count_rows() == (0, 0, 0, 0)


def test_criteria_of_any_search_parameter_select(client: Client, count_rows: CountRows) -> None:
    named = {
        "resourceType": "Patient",
        "name": [{"family": "王", "given": ["芳"]}],
        "birthDate": "1980-01-02",
    }
    url = "Patient?family=王&birthdate=1980-01-02"
    created = client.put(url, json=named)
    updated = client.put(url, json={**named, "gender": "female"})
    matched = client.post(
        "Patient", json=named, headers={"if-none-exist": "family=%E7%8E%8B&birthdate=1980-01-02"}
    )
    assert [each.status_code for each in (created, updated, matched)] == [201, 200, 200]
    assert {each.json()["id"] for each in (created, updated, matched)} == {created.json()["id"]}
    referring = {**OBSERVATION, "subject": {"reference": "Patient?family=王"}}
    response = client.post(
        "",
        json=bundle(
            "transaction", entry("POST", "Observation", referring), entry("POST", "Patient", PATIENT)
        ),
    )
    assert response.status_code == 200, response.text
    location = response.json()["entry"][0]["response"]["location"]
    assert client.get(location).json()["subject"]["reference"] == f"Patient/{created.json()['id']}"
    assert client.delete("Patient?family=王").status_code == 204
    assert client.get(f"Patient/{created.json()['id']}").status_code == 410
    before = count_rows()
    unknown = client.put("Patient?colour=red", json=named)
    assert unknown.status_code == 400
    assert unknown.json()["issue"][0]["code"] == "not-supported"
    assert count_rows() == before


def test_the_entries_of_a_batch_stand_alone(client: Client, count_rows: CountRows) -> None:
    client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    response = client.post(
        "",
        json=bundle(
            "batch",
            entry("POST", "Patient", PATIENT),
            entry("PUT", "Patient/p", {"resourceType": "Patient", "id": "p"}, ifMatch='W/"9"'),
            entry("POST", "Observation", OBSERVATION),
            entry("GET", "Patient/p"),
            entry("GET", "Patient/nobody"),
            entry("PUT", "Patient/q", {"resourceType": "Patient", "id": "r"}),
            entry("POST", "Patient", PATIENT, ifNoneExist=f"identifier={SYSTEM}|1"),
        ),
    )
    assert response.status_code == 200, response.text
    made = response.json()
    assert made["type"] == "batch-response"
    assert [each["response"]["status"] for each in made["entry"]] == [
        "201 Created",
        "412 Precondition Failed",
        "422 Unprocessable Entity",
        "200 OK",
        "404 Not Found",
        "400 Bad Request",
        "200 OK",
    ]
    assert [each["response"].get("outcome") for each in made["entry"]] == [
        None,
        outcome(
            "conflict",
            "If-Match names version 9 of `Patient/p`, the current version is 1",
            "Bundle.entry[1].request.ifMatch",
        ),
        outcome(
            "not-found",
            f"No entry of the Bundle has the fullUrl `{ALICE}`",
            "Bundle.entry[2].resource.subject.reference",
        ),
        None,
        outcome("not-found", "`Patient/nobody` does not exist", "Bundle.entry[4].request.url"),
        outcome("invalid", "The resource's id is `r`, but the URL names `q`", "Bundle.entry[5].resource.id"),
        None,
    ]
    assert made["entry"][3]["resource"]["id"] == "p"
    assert made["entry"][6]["response"]["location"] == made["entry"][0]["response"]["location"]
    assert count_rows()[0] == 2


def test_only_a_transaction_or_batch_bundle_is_processed(client: Client, count_rows: CountRows) -> None:
    response = client.post("", json=bundle("searchset"))
    assert response.status_code == 400
    assert response.json() == outcome(
        "invalid", "Bundle.type is `searchset`, expected transaction or batch", "Bundle.type"
    )
    collection = {"resourceType": "Bundle", "type": "collection"}
    assert client.post("Bundle", json=collection).status_code == 201
    assert count_rows()[0] == 1


def test_an_empty_transaction_is_answered(client: Client) -> None:
    response = client.post("", json={"resourceType": "Bundle", "type": "transaction"})
    assert response.json() == {"resourceType": "Bundle", "type": "transaction-response"}
