"""patch and conditional patch: https://hl7.org/fhir/R4/http.html#patch."""

from base64 import b64encode
from collections.abc import Callable

import pytest
from httpx import Response

from hie.core.fhir.json import Json, JsonObject, dumps
from tests.fhir_server.interactions.client import Client, assert_outcome

CountRows = Callable[[], tuple[int, ...]]

BASE = "http://127.0.0.1:8000/fhir"
SYSTEM = "http://hospital.example/mrn"
JSON_PATCH = {"content-type": "application/json-patch+json"}
PATIENT: JsonObject = {
    "resourceType": "Patient",
    "id": "p",
    "identifier": [{"system": SYSTEM, "value": "1"}],
    "gender": "male",
}


def gender(value: str) -> list[JsonObject]:
    return [{"op": "replace", "path": "/gender", "value": value}]


def fhirpath_gender(value: str) -> JsonObject:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": value},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def patch(client: Client, url: str, operations: Json, **headers: str) -> Response:
    return client.request("PATCH", url, content=dumps(operations), headers={**JSON_PATCH, **headers})


@pytest.fixture
def stored(client: Client) -> Client:
    """A client of a server that holds `Patient/p`."""
    assert client.put("Patient/p", json=PATIENT).status_code == 201
    return client


def test_json_patch_makes_a_version_and_returns_the_resource(stored: Client) -> None:
    answer = patch(stored, "Patient/p", gender("female"))
    assert answer.status_code == 200, answer.text
    assert {**PATIENT, "gender": "female", "meta": answer.json()["meta"]} == answer.json()
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["location"] == f"{BASE}/Patient/p/_history/2"
    assert stored.get("Patient/p").content == answer.content
    history = stored.get("Patient/p/_history").json()["entry"]
    assert [entry["request"] for entry in history] == [
        {"method": "PATCH", "url": "Patient/p"},
        {"method": "PUT", "url": "Patient/p"},
    ]


def test_fhirpath_patch_in_json_and_xml(stored: Client) -> None:
    answer = stored.request("PATCH", "Patient/p", json=fhirpath_gender("female"))
    assert (answer.status_code, answer.json()["gender"]) == (200, "female")
    text = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        '<part><name value="type"/><valueCode value="replace"/></part>'
        '<part><name value="path"/><valueString value="Patient.gender"/></part>'
        '<part><name value="value"/><valueCode value="other"/></part></parameter></Parameters>'
    )
    answer = stored.request(
        "PATCH", "Patient/p", content=text, headers={"content-type": "application/fhir+xml"}
    )
    assert (answer.status_code, answer.json()["gender"]) == (200, "other")


def test_decimals_that_a_patch_does_not_touch_keep_their_digits(client: Client) -> None:
    text = (
        b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},'
        b'"valueQuantity":{"value":1.10}}'
    )
    assert client.put("Observation/o", content=text).status_code == 201
    answer = patch(client, "Observation/o", [{"op": "replace", "path": "/status", "value": "amended"}])
    assert '"value":1.10' in answer.text
    assert '"status":"amended"' in answer.text


def test_a_patch_that_changes_nothing_makes_no_version(stored: Client, count_rows: CountRows) -> None:
    before = count_rows()
    answer = patch(stored, "Patient/p", gender("male"))
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')
    assert count_rows() == before


def test_prefer_return_minimal_answers_a_patch_without_a_body(stored: Client) -> None:
    answer = patch(stored, "Patient/p", gender("female"), prefer="return=minimal")
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, b"", 'W/"2"')


@pytest.mark.parametrize(
    ("operations", "status", "code"),
    [
        ([{"op": "replace", "path": "/gender", "value": "?"}], 422, "code-invalid"),
        ([{"op": "remove", "path": "/birthDate"}], 422, "processing"),
        ([{"op": "test", "path": "/gender", "value": "female"}], 422, "processing"),
        ([{"op": "add", "path": "/sex", "value": "male"}], 422, "structure"),
        ([{"op": "replace", "path": "/id", "value": "q"}], 422, "invalid"),
        ([{"op": "replace", "path": "/resourceType", "value": "Person"}], 422, "invalid"),
        ([{"op": "increase", "path": "/gender"}], 400, "invalid"),
        ({}, 400, "invalid"),
    ],
)
def test_a_patch_that_cannot_be_applied_or_leaves_no_valid_resource_changes_nothing(
    stored: Client, count_rows: CountRows, operations: Json, status: int, code: str
) -> None:
    before = count_rows()
    answer = patch(stored, "Patient/p", [*gender("other"), *operations] if operations else operations)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code), answer.text
    assert count_rows() == before
    assert stored.get("Patient/p").json()["gender"] == "male"


def test_patch_of_what_is_not_there(stored: Client) -> None:
    assert_outcome(
        patch(stored, "Patient/never", gender("male")), 404, "not-found", "`Patient/never` does not exist"
    )
    stored.delete("Patient/p")
    assert_outcome(patch(stored, "Patient/p", gender("male")), 410, "deleted", "`Patient/p` was deleted")


def test_patch_with_if_match(stored: Client) -> None:
    assert patch(stored, "Patient/p", gender("female"), **{"if-match": 'W/"1"'}).status_code == 200
    assert_outcome(
        patch(stored, "Patient/p", gender("male"), **{"if-match": 'W/"1"'}),
        412,
        "conflict",
        "If-Match names version 1 of `Patient/p`, the current version is 2",
    )
    # A stale patch is refused as stale, whether it could be applied or not.
    stale = patch(stored, "Patient/p", [{"op": "remove", "path": "/x"}], **{"if-match": 'W/"1"'})
    assert stale.status_code == 412


def test_conditional_patch_of_one_none_and_several(stored: Client, count_rows: CountRows) -> None:
    url = f"Patient?identifier={SYSTEM}|1"
    answer = patch(stored, url, gender("female"))
    assert (answer.status_code, answer.json()["gender"], answer.json()["id"]) == (200, "female", "p")
    assert patch(stored, "Patient?gender=female", gender("other")).status_code == 200
    assert_outcome(
        patch(stored, "Patient?gender=unknown", gender("male")),
        404,
        "not-found",
        "The criteria Patient?gender select no resource",
    )
    stored.post("Patient", json={**PATIENT, "gender": "other"})
    before = count_rows()
    for each in (url, "Patient?gender=other"):
        assert patch(stored, each, gender("male")).status_code == 412
    assert count_rows() == before


def test_xml_patch_is_refused(stored: Client) -> None:
    answer = stored.request(
        "PATCH", "Patient/p", content=b"<diff/>", headers={"content-type": "application/xml-patch+xml"}
    )
    assert answer.status_code == 415


def binary(operations: Json) -> JsonObject:
    return {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": b64encode(dumps(operations)).decode(),
    }


def bundle(kind: str, *entries: tuple[str, JsonObject]) -> JsonObject:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"resource": resource, "request": {"method": method, "url": url}}
            for (method_and_url, resource) in entries
            for method, _, url in [method_and_url.partition(" ")]
        ],
    }


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_patch_entries_hold_a_binary_or_parameters(stored: Client, kind: str) -> None:
    stored.put("Patient/q", json={**PATIENT, "id": "q", "identifier": [{"system": SYSTEM, "value": "2"}]})
    answer = stored.post(
        "",
        json=bundle(
            kind,
            ("PATCH Patient/p", binary(gender("female"))),
            (f"PATCH Patient?identifier={SYSTEM}|2", fhirpath_gender("other")),
        ),
    )
    assert answer.status_code == 200, answer.text
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["200 OK", "200 OK"]
    assert [stored.get(f"Patient/{name}").json()["gender"] for name in "pq"] == ["female", "other"]


def test_a_patch_that_fails_undoes_its_transaction_and_names_its_entry(
    stored: Client, count_rows: CountRows
) -> None:
    before = count_rows()
    answer = stored.post(
        "",
        json=bundle(
            "transaction",
            ("POST Patient", {"resourceType": "Patient"}),
            ("PATCH Patient/p", binary([{"op": "test", "path": "/gender", "value": "female"}])),
        ),
    )
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource"]
    assert count_rows() == before


@pytest.mark.parametrize(
    ("resource", "status", "expression"),
    [
        (PATIENT, 400, "Bundle.entry[0].resource"),
        (
            {"resourceType": "Binary", "contentType": "text/plain"},
            415,
            "Bundle.entry[0].resource.contentType",
        ),
        ({**binary([]), "data": "?"}, 400, "Bundle.entry[0].resource.data"),
        ({**binary([]), "data": b64encode(b"{").decode()}, 400, None),
    ],
)
def test_a_patch_entry_that_holds_no_patch_is_refused(
    stored: Client, resource: JsonObject, status: int, expression: str | None
) -> None:
    answer = stored.post("", json=bundle("transaction", ("PATCH Patient/p", resource)))
    assert answer.status_code == status, answer.text
    if expression is not None:
        assert answer.json()["issue"][0]["expression"] == [expression]


def test_references_that_a_patch_adds_are_resolved_inside_the_bundle(stored: Client) -> None:
    name = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    made = bundle(
        "transaction",
        ("POST Organization", {"resourceType": "Organization", "name": "o"}),
        (
            "PATCH Patient/p",
            binary([{"op": "add", "path": "/managingOrganization", "value": {"reference": name}}]),
        ),
    )
    made["entry"][0]["fullUrl"] = name
    answer = stored.post("", json=made)
    assert answer.status_code == 200, answer.text
    target = answer.json()["entry"][0]["response"]["location"].partition("/_history")[0]
    assert stored.get("Patient/p").json()["managingOrganization"] == {"reference": target}


@pytest.mark.parametrize("content_type", ["application/merge-patch+json", "application/json"])
def test_merge_patch_changes_what_it_says_and_removes_what_is_null(stored: Client, content_type: str) -> None:
    given = {"resourceType": "Patient", "id": "p", "gender": None, "birthDate": "1980-02-29"}
    answer = patch(stored, "Patient/p", given, **{"content-type": content_type})
    assert answer.status_code == 200, answer.text
    expected = {name: value for name, value in PATIENT.items() if name != "gender"}
    assert {**expected, "birthDate": "1980-02-29", "meta": answer.json()["meta"]} == answer.json()


def test_merge_patch_that_leaves_no_valid_resource_changes_nothing(stored: Client) -> None:
    answer = patch(stored, "Patient/p", {"gender": "x"}, **{"content-type": "application/merge-patch+json"})
    assert answer.status_code == 422, answer.text
    assert stored.get("Patient/p").headers["etag"] == 'W/"1"'
