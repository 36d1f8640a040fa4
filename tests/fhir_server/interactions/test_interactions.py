"""The RESTful interactions over HTTP: https://hl7.org/fhir/R4/http.html."""

import re
from collections.abc import Callable

import pytest
from httpx import Response

from hie.core.db.database import Database
from tests.fhir_server.interactions.client import Client, assert_outcome

CountRows = Callable[[], tuple[int, ...]]

BASE = "http://127.0.0.1:8000/fhir"
SYSTEM = "http://hospital.example/mrn"
PATIENT = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "1"}], "gender": "male"}


def put_patient(client: Client, **elements: object) -> Response:
    response = client.put("Patient/p", json={"resourceType": "Patient", "id": "p", **elements})
    assert response.status_code in (200, 201), response.text
    return response


def test_create_returns_201_with_location_etag_last_modified_and_the_resource(client: Client) -> None:
    response = client.post("Patient", json=PATIENT)
    assert response.status_code == 201
    created = response.json()
    identity = created["id"]
    assert response.headers["location"] == f"{BASE}/Patient/{identity}/_history/1"
    assert response.headers["etag"] == 'W/"1"'
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.headers["last-modified"])
    assert response.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert {**PATIENT, "id": identity, "meta": created["meta"]} == created
    read = client.get(f"Patient/{identity}")
    assert (read.status_code, read.content) == (200, response.content)
    for name in ("etag", "last-modified"):
        assert read.headers[name] == response.headers[name]


def test_prefer_return_minimal_gives_no_body_and_operation_outcome_gives_one(client: Client) -> None:
    minimal = client.post("Patient", json=PATIENT, headers={"prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    told = client.post("Patient", json=PATIENT, headers={"prefer": "return=OperationOutcome"})
    identity = told.headers["location"].split("/")[-3]
    assert told.json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "information",
                "code": "informational",
                "diagnostics": f"`Patient/{identity}` was created",
            }
        ],
    }


def test_conditional_create_that_matches_returns_200_and_the_resource(
    client: Client, count_rows: CountRows
) -> None:
    condition = {"if-none-exist": f"identifier={SYSTEM}|1"}
    first = client.post("Patient", json=PATIENT, headers=condition)
    second = client.post("Patient", json={**PATIENT, "gender": "other"}, headers=condition)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["last-modified"] == first.headers["last-modified"]
    assert count_rows() == (1, 0, count_rows()[2], 1)


def test_update_as_create_then_update_then_unchanged(client: Client) -> None:
    created = put_patient(client, gender="male")
    updated = put_patient(client, gender="female")
    unchanged = put_patient(client, gender="female")
    assert [each.status_code for each in (created, updated, unchanged)] == [201, 200, 200]
    assert [each.headers["etag"] for each in (created, updated, unchanged)] == ['W/"1"', 'W/"2"', 'W/"2"']
    assert unchanged.content == updated.content
    assert unchanged.headers["location"] == f"{BASE}/Patient/p/_history/2"


def test_update_with_stale_if_match_returns_412(client: Client, count_rows: CountRows) -> None:
    put_patient(client, gender="male")
    put_patient(client, gender="female")
    before = count_rows()
    stale = client.put(
        "Patient/p", json={"resourceType": "Patient", "id": "p"}, headers={"if-match": 'W/"1"'}
    )
    assert_outcome(
        stale, 412, "conflict", "If-Match names version 1 of `Patient/p`, the current version is 2"
    )
    assert count_rows() == before
    current = client.put(
        "Patient/p", json={"resourceType": "Patient", "id": "p"}, headers={"if-match": 'W/"2"'}
    )
    assert (current.status_code, current.headers["etag"]) == (200, 'W/"3"')


def test_conditional_update_creates_updates_and_refuses_several(
    client: Client, count_rows: CountRows
) -> None:
    url = f"Patient?identifier={SYSTEM}|1"
    created = client.put(url, json=PATIENT)
    updated = client.put(url, json={**PATIENT, "gender": "female"})
    assert [(each.status_code, each.headers["etag"]) for each in (created, updated)] == [
        (201, 'W/"1"'),
        (200, 'W/"2"'),
    ]
    assert client.post("Patient", json=PATIENT).status_code == 201
    before = count_rows()
    assert_outcome(
        client.put(url, json=PATIENT),
        412,
        "multiple-matches",
        "The criteria Patient?identifier select more than one resource",
    )
    assert count_rows() == before


def test_conditional_update_with_another_id_than_the_match_returns_400(client: Client) -> None:
    url = f"Patient?identifier={SYSTEM}|1"
    created = client.put(url, json={**PATIENT, "id": "a"})
    assert (created.status_code, created.json()["id"]) == (201, "a")
    assert_outcome(
        client.put(url, json={**PATIENT, "id": "b"}),
        400,
        "invalid",
        "The resource's id is `b`, but the criteria Patient?identifier select `Patient/a`",
        "Patient.id",
    )
    put_patient(client)
    assert_outcome(
        client.put(f"Patient?identifier={SYSTEM}|2", json={**PATIENT, "id": "p"}),
        409,
        "conflict",
        "`Patient/p` exists, but the criteria Patient?identifier do not select it",
        "Patient.id",
    )


def test_read_of_what_never_was_returns_404_and_of_what_was_deleted_410(client: Client) -> None:
    assert_outcome(client.get("Patient/never"), 404, "not-found", "`Patient/never` does not exist")
    put_patient(client)
    deleted = client.delete("Patient/p")
    assert (deleted.status_code, deleted.content, deleted.headers["etag"]) == (204, b"", 'W/"2"')
    assert_outcome(client.get("Patient/p"), 410, "deleted", "`Patient/p` was deleted")
    assert client.delete("Patient/p").status_code == 204
    assert client.delete("Patient/never").status_code == 204
    assert put_patient(client).status_code == 201


def test_conditional_delete_returns_204_and_deletes_the_match(client: Client) -> None:
    url = f"Patient?identifier={SYSTEM}|1"
    created = client.put(url, json=PATIENT)
    told = client.delete(url, headers={"prefer": "return=OperationOutcome"})
    assert told.status_code == 200
    assert told.json()["issue"][0]["diagnostics"] == f"`Patient/{created.json()['id']}` was deleted"
    assert client.get(f"Patient/{created.json()['id']}").status_code == 410
    assert client.delete(url).status_code == 204


def test_conditional_read_returns_304(client: Client) -> None:
    created = put_patient(client)
    for headers in (
        {"if-none-match": 'W/"1"'},
        {"if-none-match": 'W/"7", W/"1"'},
        {"if-modified-since": created.headers["last-modified"]},
    ):
        same = client.get("Patient/p", headers=headers)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", 'W/"1"')
    for headers in (
        {"if-none-match": 'W/"2"'},
        {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"if-modified-since": "yesterday"},
    ):
        assert client.get("Patient/p", headers=headers).status_code == 200


def test_vread_returns_every_version(client: Client) -> None:
    first = put_patient(client, gender="male")
    second = put_patient(client, gender="female")
    client.delete("Patient/p")
    for number, stored in ((1, first), (2, second)):
        read = client.get(f"Patient/p/_history/{number}")
        assert (read.status_code, read.content) == (200, stored.content)
        assert read.headers["etag"] == f'W/"{number}"'
    assert_outcome(
        client.get("Patient/p/_history/3"), 410, "deleted", "Version 3 of `Patient/p` is its deletion"
    )
    for version in ("4", "0", "x", "99999999999"):
        assert_outcome(
            client.get(f"Patient/p/_history/{version}"),
            404,
            "not-found",
            f"`Patient/p` has no version {version}",
        )


def test_history_lists_versions_newest_first_with_request_and_response(client: Client) -> None:
    created = client.post("Patient", json=PATIENT).json()
    identity = created["id"]
    updated = client.put(f"Patient/{identity}", json={**PATIENT, "id": identity, "gender": "other"}).json()
    client.delete(f"Patient/{identity}")
    back = client.put(f"Patient/{identity}", json={**PATIENT, "id": identity}).json()
    history = client.get(f"Patient/{identity}/_history").json()
    url = f"{BASE}/Patient/{identity}"
    deleted_at = history["entry"][1]["response"]["lastModified"]
    assert updated["meta"]["lastUpdated"] <= deleted_at <= back["meta"]["lastUpdated"]

    def response(status: str, version: int, last_modified: str) -> dict[str, str]:
        return {"status": status, "etag": f'W/"{version}"', "lastModified": last_modified}

    assert history == {
        "resourceType": "Bundle",
        "type": "history",
        "total": 4,
        "link": [{"relation": "self", "url": f"{url}/_history"}],
        "entry": [
            {
                "fullUrl": url,
                "resource": back,
                "request": {"method": "PUT", "url": f"Patient/{identity}"},
                "response": response("200 OK", 4, back["meta"]["lastUpdated"]),
            },
            {
                "fullUrl": url,
                "request": {"method": "DELETE", "url": f"Patient/{identity}"},
                "response": response("204 No Content", 3, deleted_at),
            },
            {
                "fullUrl": url,
                "resource": updated,
                "request": {"method": "PUT", "url": f"Patient/{identity}"},
                "response": response("200 OK", 2, updated["meta"]["lastUpdated"]),
            },
            {
                "fullUrl": url,
                "resource": created,
                "request": {"method": "POST", "url": "Patient"},
                "response": response("201 Created", 1, created["meta"]["lastUpdated"]),
            },
        ],
    }


def test_history_pages_by_version_and_filters_by_since(client: Client) -> None:
    bodies = [put_patient(client, multipleBirthInteger=number).json() for number in range(5)]
    url: str | None = "Patient/p/_history?_count=2"
    pages: list[list[str]] = []
    while url is not None:
        page = client.get(url).json()
        assert page["total"] == 5
        pages.append([entry["resource"]["meta"]["versionId"] for entry in page["entry"]])
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert pages == [["5", "4"], ["3", "2"], ["1"]]
    since = bodies[2]["meta"]["lastUpdated"]
    expected = [each["meta"]["versionId"] for each in bodies if each["meta"]["lastUpdated"] >= since]
    page = client.get("Patient/p/_history", params={"_since": since}).json()
    assert [entry["resource"]["meta"]["versionId"] for entry in page["entry"]] == expected[::-1]
    assert page["total"] == len(expected)


@pytest.mark.parametrize(
    ("query", "diagnostics", "name"),
    [
        ("_since=noon", "`noon` is not an instant", "_since"),
        ("_count=-1", "`-1` is not a number", "_count"),
    ],
)
def test_history_refuses_parameters_it_cannot_read(
    client: Client, query: str, diagnostics: str, name: str
) -> None:
    put_patient(client)
    assert_outcome(client.get(f"Patient/p/_history?{query}"), 400, "value", diagnostics, name)


def test_history_of_what_never_was_returns_404(client: Client) -> None:
    assert_outcome(client.get("Patient/x/_history"), 404, "not-found", "`Patient/x` does not exist")


def test_a_constraint_that_fails_at_commit_is_told_to_the_client(
    client: Client, database: Database, count_rows: CountRows
) -> None:
    with database.transaction() as transaction:
        transaction.connection.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION USING ERRCODE = 'check_violation'; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON resource
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()
            """
        )
    response = client.post("Patient", json=PATIENT)
    assert response.status_code == 500
    assert response.json()["resourceType"] == "OperationOutcome"
    assert count_rows() == (0, 0, 0, 0)


def test_pretty_indents_and_format_json_is_accepted(client: Client) -> None:
    text = (
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}'
    )
    identity = client.post("Observation", content=text).json()["id"]
    pretty = client.get(
        f"Observation/{identity}?_pretty=true&_format=application/fhir+json",
        headers={"accept": "application/fhir+xml"},
    )
    assert pretty.status_code == 200
    assert pretty.text.startswith('{\n  "resourceType": "Observation",\n  "id"')
    assert '"value": 1.10\n' in pretty.text
    for accept in ("*/*", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "application/json"):
        assert client.get(f"Observation/{identity}", headers={"accept": accept}).status_code == 200
