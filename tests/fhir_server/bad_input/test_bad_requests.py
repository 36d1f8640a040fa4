"""Bad requests: 4xx with an OperationOutcome that names the place, and nothing half-written."""

from collections.abc import AsyncIterator

import pytest

from hie.core.fhir.json import JsonObject, dumps
from tests.fhir_server.bad_input.api import (
    FHIR,
    LARGEST_BODY,
    PATIENT,
    Client,
    Rows,
    issues_of,
    outcome_of,
    patient,
)

MALFORMED = {
    "no body": b"",
    "no JSON": b"not JSON",
    "cut off": b'{"resourceType":"Patient"',
    "trailing comma": b'{"resourceType":"Patient",}',
    "single quotes": b"{'resourceType':'Patient'}",
    "two values": b'{"resourceType":"Patient"}{}',
    "NaN": b'{"resourceType":"Patient","multipleBirthInteger":NaN}',
    "Infinity": b'{"resourceType":"Patient","multipleBirthInteger":-Infinity}',
    "number past every double": b'{"resourceType":"Patient","multipleBirthInteger":1e400}',
    "leading zero": b'{"resourceType":"Patient","multipleBirthInteger":01}',
    "lone surrogate": b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}',
    "no UTF-8": b'{"resourceType":"Patient","name":[{"family":"\xff"}]}',
    "GB18030": '{"resourceType":"Patient","name":[{"family":"张"}]}'.encode("gb18030"),
    "UTF-16": '{"resourceType":"Patient"}'.encode("utf-16"),
    "raw control character": b'{"resourceType":"Patient","name":[{"family":"\x01"}]}',
    "thousands of brackets": b"[" * 20_000 + b"]" * 20_000,
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize(("method", "path"), [("POST", "Patient"), ("PUT", "Patient/p2"), ("POST", "")])
def test_malformed_json_is_refused(client: Client, rows: Rows, method: str, path: str, text: bytes) -> None:
    before = rows()
    response = client.request(method, f"/fhir/{path}", content=text, headers=FHIR)
    assert response.status_code == 400
    assert issues_of(response)[0][0] == "structure"
    assert rows() == before


INVALID: list[tuple[JsonObject, list[tuple[str, list[str]]]]] = [
    (patient(foo=1), [("structure", ["Patient.foo"])]),
    (patient(active="true"), [("value", ["Patient.active"])]),
    (patient(name={"family": "a"}), [("structure", ["Patient.name"])]),
    (
        patient(name=[{"family": 1}, {"given": "a"}]),
        [
            ("value", ["Patient.name[0].family"]),
            ("structure", ["Patient.name[1].given"]),
        ],
    ),
    (patient(birthDate="2024-02-30"), [("value", ["Patient.birthDate"])]),
    (patient(birthDate=None), [("structure", ["Patient.birthDate"])]),
    (patient(identifier=[]), [("structure", ["Patient.identifier"])]),
    (patient(managingOrganization="Organization/1"), [("structure", ["Patient.managingOrganization"])]),
    (patient(deceasedBoolean=True, deceasedDateTime="2024"), [("structure", ["Patient.deceased"])]),
    (patient(contained=[{"resourceType": "Foo"}]), [("not-supported", ["Patient.contained[0]"])]),
    (patient(id="a b"), [("value", ["Patient.id"])]),
    (patient(id="a" * 65), [("value", ["Patient.id"])]),
    (patient(meta="1"), [("structure", ["Patient.meta"])]),
    (patient(meta={"lastUpdated": "yesterday"}), [("value", ["Patient.meta.lastUpdated"])]),
]


@pytest.mark.parametrize(("resource", "issues"), INVALID)
def test_an_invalid_resource_is_refused_with_every_expression(
    client: Client, rows: Rows, resource: JsonObject, issues: list[tuple[str, list[str]]]
) -> None:
    before = rows()
    response = client.post("/fhir/Patient", dumps(resource))
    assert (response.status_code, issues_of(response)) == (422, issues)
    assert rows() == before


def test_the_whole_outcome_of_an_invalid_resource(client: Client) -> None:
    response = client.post("/fhir/Observation", b'{"resourceType":"Observation","status":1}')
    assert outcome_of(response) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "value",
                "diagnostics": "Expected code, found the number 1",
                "expression": ["Observation.status"],
            },
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "`code` is required",
                "expression": ["Observation.code"],
            },
        ],
    }


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"5",
        b'"Patient"',
        b"true",
        b"{}",
        b'{"resourceType":5}',
        b'{"resourceType":null}',
        b'{"resourceType":["Patient"]}',
        b'{"resourceType":"Foo"}',
        b'{"resourceType":"Observation","status":"final","code":{"text":"a"}}',
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "Patient"), ("PUT", "Patient/p1"), ("POST", "")])
def test_a_body_that_is_not_the_resource_of_the_url_is_refused(
    client: Client, rows: Rows, method: str, path: str, body: bytes
) -> None:
    before = rows()
    response = client.request(method, f"/fhir/{path}", content=body, headers=FHIR)
    assert response.status_code in (400, 422)
    assert issues_of(response)
    assert rows() == before


@pytest.mark.parametrize(
    "name", ["Foo", "patient", "Resource", "DomainResource", "Ingredient", "Patient%00", "%E5%BC%A0"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_an_unknown_resource_type_is_not_found(client: Client, rows: Rows, method: str, name: str) -> None:
    before = rows()
    path = f"/fhir/{name}" if method == "POST" else f"/fhir/{name}/1"
    content = dumps({"resourceType": name}) if method in ("POST", "PUT") else None
    response = client.request(method, path, content=content, headers=FHIR if content else None)
    assert response.status_code == 404
    assert issues_of(response)[0][0] in ("not-supported", "not-found")
    assert rows() == before


@pytest.mark.parametrize("identifier", ["a_b", "a" * 65, "%00", "a%20b", "张", "a|b", "'--"])
def test_an_invalid_id_is_refused(client: Client, rows: Rows, identifier: str) -> None:
    before = rows()
    body = dumps({"resourceType": "Patient", "id": "a"})
    answer = client.put(f"/fhir/Patient/{identifier}", body)
    assert answer.status_code in (400, 404)
    assert issues_of(answer)
    for method in ("GET", "DELETE"):
        response = client.request(method, f"/fhir/Patient/{identifier}")
        assert 400 <= response.status_code < 500
        assert issues_of(response)
    history = client.get(f"/fhir/Patient/{identifier}/_history")
    assert 400 <= history.status_code < 500
    assert rows() == before


@pytest.mark.parametrize("body", [patient(), patient(id="p2"), patient(id="P1")])
def test_an_update_whose_id_is_not_that_of_the_url_is_refused(
    client: Client, rows: Rows, body: JsonObject
) -> None:
    before = rows()
    response = client.put("/fhir/Patient/p1", dumps(body))
    assert response.status_code == 400
    assert issues_of(response) == [("invalid", ["Patient.id"])]
    assert rows() == before


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/turtle",
        "application/fhir+xml; fhirVersion=5.0",
        "application/x-www-form-urlencoded",
        "application/json; charset=gb18030",
        "multipart/form-data; boundary=a",
    ],
)
def test_a_wrong_content_type_is_refused(client: Client, rows: Rows, content_type: str) -> None:
    before = rows()
    for method, path in (("POST", "Patient"), ("PUT", "Patient/p1"), ("POST", "")):
        response = client.request(
            method, f"/fhir/{path}", content=dumps(PATIENT), headers={"content-type": content_type}
        )
        assert response.status_code == 415
        assert issues_of(response) == [("not-supported", [])]
    assert rows() == before


def test_a_body_that_is_too_large_is_refused(client: Client, rows: Rows) -> None:
    before = rows()
    body = dumps(patient(name=[{"text": "a" * LARGEST_BODY}]))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    for content in (body, pieces()):
        response = client.post("/fhir/Patient", content)
        assert response.status_code == 413
        assert issues_of(response) == [("too-long", [])]
    assert rows() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "Patient/p1/_history/1"),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "Patient/p1/_history/1"),
        ("PUT", "Patient/p1/_history/1"),
        ("DELETE", "Patient/p1/_history/1"),
        ("TRACE", "Patient/p1"),
    ],
)
def test_a_method_that_the_path_does_not_have_is_refused(
    client: Client, rows: Rows, method: str, path: str
) -> None:
    before = rows()
    response = client.request(method, f"/fhir/{path}", content=dumps(PATIENT), headers=FHIR)
    assert response.status_code in (404, 405)
    assert issues_of(response)
    assert rows() == before


def test_deep_nesting_is_refused_and_not_a_fault(client: Client, rows: Rows) -> None:
    before = rows()
    extension = '{"url":"http://hie.example/a","extension":[' * 400 + '{"url":"a"}' + "]}" * 400
    texts = [
        '{"resourceType":"Patient","extension":[' + extension + "]}",
        '{"resourceType":"Patient","contained":[' * 400 + '{"resourceType":"Patient"}' + "]}" * 400,
        '{"resourceType":"Patient","foo":' + "[" * 900 + "1.10" + "]" * 900 + "}",
    ]
    for text in texts:
        response = client.post("/fhir/Patient", text.encode())
        assert 400 <= response.status_code < 500
        assert issues_of(response)
    assert rows() == before
