"""Every interaction stands in the trail before its answer, once, with who, what and how it ended."""

from collections.abc import Sequence

import pytest

from hie import wiring
from hie.core.fhir.json import JsonObject
from tests.fhir_server.audit.client import Client
from tests.fhir_server.audit.conftest import Records

PATIENT: JsonObject = {"resourceType": "Patient", "name": [{"family": "Zhao"}]}


def short(records: Sequence[JsonObject]) -> list[tuple[str, str, str, int, list[str]]]:
    """Return interaction, action, target, status and patients of each record."""
    return [
        (each["do"], each["action"], each.get("on", ""), each["status"], each.get("patients", []))
        for each in records
    ]


def observation(patient: str) -> JsonObject:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "pulse"},
        "subject": {"reference": f"Patient/{patient}"},
    }


def put(client: Client, resource_type: str, resource_id: str, resource: JsonObject) -> None:
    answer = client.put(f"/fhir/{resource_type}/{resource_id}", json={**resource, "id": resource_id})
    assert answer.status_code in (200, 201), answer.text


def test_create_update_patch_and_delete_are_recorded_with_their_versions(
    client: Client, records: Records
) -> None:
    made = client.post("/fhir/Patient", json=PATIENT, headers={"X-Request-Id": "r-1"})
    identity = made.json()["id"] if made.content else made.headers["Location"].split("/")[-3]
    put(client, "Patient", identity, {**PATIENT, "gender": "female"})
    patched = client.patch(
        f"/fhir/Patient/{identity}",
        json=[{"op": "replace", "path": "/gender", "value": "male"}],
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert patched.status_code == 200
    assert client.delete(f"/fhir/Patient/{identity}").status_code == 204
    found = records()
    assert short(found) == [
        ("create", "C", f"Patient/{identity}/_history/1", 201, [identity]),
        ("update", "U", f"Patient/{identity}/_history/2", 200, [identity]),
        ("patch", "U", f"Patient/{identity}/_history/3", 200, [identity]),
        ("delete", "D", f"Patient/{identity}/_history/4", 204, [identity]),
    ]
    assert found[0]["request"] == "r-1"
    assert found[0]["who"] == {"kind": "anonymous"}
    assert (found[0]["from"], found[0]["site"]) == ("10.0.0.7", "web-1")


def test_read_vread_and_history_are_recorded_with_the_patient_they_concern(
    client: Client, records: Records
) -> None:
    put(client, "Patient", "p1", PATIENT)
    put(client, "Observation", "o1", observation("p1"))
    records()
    for path in ("Observation/o1", "Observation/o1/_history/1", "Observation/o1/_history"):
        assert client.get(f"/fhir/{path}").status_code == 200
    assert short(records()) == [
        ("read", "R", "Observation/o1", 200, ["p1"]),
        ("vread", "R", "Observation/o1/_history/1", 200, ["p1"]),
        ("history", "R", "Observation/o1", 200, ["p1"]),
    ]


def test_search_is_recorded_for_each_patient_it_shows(client: Client, records: Records) -> None:
    for patient in ("p1", "p2"):
        put(client, "Patient", patient, PATIENT)
        put(client, "Observation", f"o-{patient}", observation(patient))
    records()
    assert client.get("/fhir/Observation?status=final&_sort=_id").json()["total"] == 2
    first, second = records()
    assert short([first, second]) == [
        ("search-type", "E", "Observation", 200, ["p1"]),
        ("search-type", "E", "Observation", 200, ["p2"]),
    ]
    assert first["query"] == second["query"] == "status=final&_sort=_id"
    assert first["seen"] == {"Observation": ["o-p1"]}
    assert second["seen"] == {"Observation": ["o-p2"]}
    assert second["id"] == first["id"] + ".2"


def test_search_by_post_is_recorded_with_its_parameters(client: Client, records: Records) -> None:
    put(client, "Patient", "p1", PATIENT)
    records()
    answer = client.post("/fhir/Patient/_search", data={"family": "Zhao", "_count": "5"})
    assert answer.status_code == 200
    (found,) = records()
    assert short([found]) == [("search-type", "E", "Patient", 200, ["p1"])]
    assert found["query"] == "family=Zhao&_count=5"


def test_what_fails_is_recorded_with_its_status(client: Client, records: Records) -> None:
    assert client.get("/fhir/Patient/unknown").status_code == 404
    assert client.get("/fhir/Patient?nonsense=1", headers={"Prefer": "handling=strict"}).status_code == 400
    assert client.post("/fhir/Patient", json={"resourceType": "Patient", "gender": 7}).status_code == 422
    assert client.post("/fhir/Patient", content=b"{", headers={"Content-Type": "application/json"})
    assert client.get("/fhir/Nothing/1").status_code == 404
    assert client.put("/fhir/Patient", json=PATIENT).status_code in (400, 412)
    assert client.request("LINK", "/fhir/Patient/1").status_code == 405
    assert [(each["do"], each["status"]) for each in records()] == [
        ("read", 404),
        ("search-type", 400),
        ("create", 422),
        ("create", 400),
        ("read", 404),
        ("update", 400),
        ("LINK", 405),
    ]


def test_each_entry_of_a_transaction_is_recorded_in_it(client: Client, records: Records) -> None:
    put(client, "Patient", "p1", PATIENT)
    records()
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": observation("p1"), "request": {"method": "POST", "url": "Observation"}},
            {"resource": {**PATIENT, "id": "p2"}, "request": {"method": "PUT", "url": "Patient/p2"}},
            {"request": {"method": "GET", "url": "Patient/p1"}},
            {"request": {"method": "GET", "url": "Patient?_id=p1,p2&_sort=_id"}},
        ],
    }
    answer = client.post("/fhir", json=bundle)
    assert answer.status_code == 200, answer.text
    made = answer.json()["entry"][0]["response"]["location"]
    assert short(records()) == [
        ("create", "C", made, 201, ["p1"]),
        ("update", "U", "Patient/p2/_history/1", 201, ["p2"]),
        ("read", "R", "Patient/p1", 200, ["p1"]),
        ("search-type", "E", "Patient", 200, ["p1"]),
        ("search-type", "E", "Patient", 200, ["p2"]),
    ]


def test_transaction_that_fails_leaves_one_record_of_its_failure(client: Client, records: Records) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}},
            {"request": {"method": "DELETE", "url": "Patient?nonsense=1"}},
        ],
    }
    assert client.post("/fhir", json=bundle).status_code == 400
    assert short(records()) == [("transaction or batch", "E", "", 400, [])]


def test_each_entry_of_a_batch_is_recorded_whether_it_passes_or_fails(
    client: Client, records: Records
) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"resource": {**PATIENT, "id": "p1"}, "request": {"method": "PUT", "url": "Patient/p1"}},
            {"request": {"method": "GET", "url": "Patient/unknown"}},
            {"request": {"method": "GET", "url": "Patient/p1"}},
            {
                "resource": {"resourceType": "Patient", "gender": 7},
                "request": {"method": "POST", "url": "Patient"},
            },
        ],
    }
    assert client.post("/fhir", json=bundle).status_code == 200
    assert sorted((each[0], each[2], each[3]) for each in short(records())) == [
        ("batch", "", 422),
        ("read", "Patient/p1", 200),
        ("read", "Patient/unknown", 404),
        ("update", "Patient/p1/_history/1", 201),
    ]


def test_operation_is_recorded_with_what_it_showed(client: Client, records: Records) -> None:
    put(client, "Patient", "p1", PATIENT)
    put(client, "Observation", "o1", observation("p1"))
    records()
    assert client.get("/fhir/Patient/p1/$everything").status_code == 200
    (found,) = records()
    assert short([found]) == [("$everything", "E", "Patient/p1", 200, ["p1"])]
    assert found["seen"] == {"Patient": ["p1"], "Observation": ["o1"]}


def test_graphql_is_recorded_with_what_it_showed(client: Client, records: Records) -> None:
    put(client, "Patient", "p1", PATIENT)
    records()
    answer = client.get("/fhir/$graphql", params={"query": '{Patient(id:"p1"){id}}'})
    assert answer.status_code == 200
    (found,) = records()
    assert (found["do"], found["seen"], found["patients"]) == ("$graphql", {"Patient": ["p1"]}, ["p1"])


def test_page_of_the_portal_is_recorded_with_the_patients_it_showed(client: Client, records: Records) -> None:
    put(client, "Patient", "p1", PATIENT)
    records()
    assert client.get("/patients/p1", headers={"Accept": "text/html"}).status_code == 200
    (found,) = records()
    assert (found["kind"], found["on"], found["patients"]) == ("page", "Patient/p1", ["p1"])


def test_what_shows_nobody_s_data_is_not_recorded(client: Client, records: Records) -> None:
    for path in ("/fhir/metadata", "/health", "/metrics", "/api/openapi.json", "/static/portal.css"):
        assert client.get(path).status_code == 200, path
    assert records() == []


def test_change_whose_audit_record_cannot_be_written_is_not_made(
    client: Client, exchange: wiring.Exchange
) -> None:
    with exchange.database.transaction() as transaction:
        transaction.connection.execute("ALTER TABLE audit_pending RENAME TO gone")
    assert client.put("/fhir/Patient/p1", json={**PATIENT, "id": "p1"}).status_code == 500
    with exchange.database.transaction() as transaction:
        assert transaction.connection.execute("SELECT count(*) FROM resource").fetchone() == (0,)


def test_read_whose_record_cannot_be_written_is_not_answered(
    client: Client, exchange: wiring.Exchange
) -> None:
    put(client, "Patient", "p1", PATIENT)
    logs = exchange.settings.audit_logs
    logs.parent.mkdir(parents=True, exist_ok=True)
    logs.write_text("in the way of the directory")
    answer = client.get("/fhir/Patient/p1")
    assert answer.status_code in (500, 503)
    assert "Zhao" not in answer.text


@pytest.mark.parametrize("resource_id", ["p1", "p2"])
def test_deleted_resource_is_recorded_with_the_patient_it_concerned(
    client: Client, records: Records, resource_id: str
) -> None:
    put(client, "Patient", resource_id, PATIENT)
    put(client, "Observation", "o1", observation(resource_id))
    records()
    assert client.delete("/fhir/Observation/o1").status_code == 204
    assert short(records()) == [("delete", "D", "Observation/o1/_history/2", 204, [resource_id])]
