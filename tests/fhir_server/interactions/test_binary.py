"""Binary in its native form: https://hl7.org/fhir/R4/binary.html#rest."""

import json
from base64 import b64encode

import httpx
import pytest

from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from tests.fhir_server.interactions.client import Client, assert_outcome

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
FHIR = {"accept": "application/fhir+json"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def create(client: Client, content: bytes = PNG, content_type: str = "image/png", context: str = "") -> str:
    headers = {"content-type": content_type} | ({"X-Security-Context": context} if context else {})
    response = client.post("Binary", content=content, headers=headers)
    assert response.status_code == 201, response.text
    identity: str = response.json()["id"]
    return identity


def test_raw_content_becomes_a_binary(client: Client) -> None:
    identity = create(client)
    resource = client.get(f"Binary/{identity}", headers={"accept": "application/fhir+json"}).json()
    assert (resource["contentType"], resource["data"]) == ("image/png", b64encode(PNG).decode())
    xml = client.get(f"Binary/{identity}", headers={"accept": "application/fhir+xml"})
    assert from_xml(xml.content) == resource
    assert client.get(f"Binary/{identity}", headers={"accept": "application/json"}).json() == resource
    for query in ("_format=json", "_summary=false", "_elements=contentType,data"):
        asked = client.get(f"Binary/{identity}?{query}", headers={"accept": "image/png;q=0.9, */*;q=0.1"})
        if query != "_format=json":
            assert asked.status_code == 200, asked.text
        assert asked.json()["data"] == resource["data"]


@pytest.mark.parametrize(
    "accept", ["image/png", "image/*", BROWSER, "image/avif,*/*;q=0.5", "*/*", "", "*/*;q=0.8"]
)
def test_content_is_served_in_its_own_type(client: Client, accept: str) -> None:
    identity = create(client)
    for path in (f"Binary/{identity}", f"Binary/{identity}/_history/1"):
        response = client.get(path, headers={"accept": accept})
        assert (response.headers["content-type"], response.content) == ("image/png", PNG)
        assert response.headers["etag"] == 'W/"1"'
        # whoever wrote it must not get scripts run as a page of this server
        assert response.headers["content-security-policy"].startswith("sandbox;")
        assert response.headers["x-content-type-options"] == "nosniff"
    known = client.get(f"Binary/{identity}", headers={"accept": accept, "if-none-match": 'W/"1"'})
    assert known.status_code == 304


def test_read_without_accept_header_gets_the_content(client: Client) -> None:
    identity = create(client)
    request = httpx.Request("GET", f"http://127.0.0.1:8000/fhir/Binary/{identity}")
    assert "accept" not in request.headers
    response = client.send(request)
    assert (response.headers["content-type"], response.content) == ("image/png", PNG)
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/atom+xml",
        "text/javascript",
        "application/x-javascript",
        "multipart/related",
    ],
)
def test_content_that_may_hold_scripts_is_saved_and_not_shown(client: Client, content_type: str) -> None:
    identity = create(client, b"<script>alert(1)</script>", content_type)
    response = client.get(f"Binary/{identity}", headers={"accept": BROWSER})
    assert response.content == b"<script>alert(1)</script>"
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_content_without_scripts_is_shown(client: Client) -> None:
    for content, content_type in ((PNG, "image/png"), (b"%PDF-1.7", "application/pdf"), (b"a", "text/plain")):
        identity = create(client, content, content_type)
        assert "content-disposition" not in client.get(f"Binary/{identity}").headers


def test_other_types_are_not_acceptable(client: Client) -> None:
    identity = create(client)
    response = client.get(f"Binary/{identity}", headers={"accept": "application/pdf"})
    assert response.status_code == 406


def test_update_takes_raw_content_and_versions(client: Client) -> None:
    headers = {"content-type": "text/plain;  charset=gb18030"}
    created = client.put("Binary/b", content="数据".encode("gb18030"), headers=headers)
    assert (created.status_code, created.json()["contentType"]) == (201, "text/plain; charset=gb18030")
    updated = client.put("Binary/b", content=b"x", headers={**headers, "if-match": 'W/"1"'})
    assert updated.headers["etag"] == 'W/"2"'
    assert client.put("Binary/b", content=b"y", headers={**headers, "if-match": 'W/"1"'}).status_code == 412
    plain = client.get("Binary/b", headers={"accept": "text/plain"})
    assert (plain.headers["content-type"], plain.content) == ("text/plain; charset=gb18030", b"x")


def test_fhir_that_is_a_binary_is_the_resource(client: Client) -> None:
    binary = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "YQ=="}
    for number, (content, content_type) in enumerate(
        [
            (json.dumps(binary).encode(), "application/fhir+json"),
            (json.dumps({**binary, "data": "Yg=="}).encode(), "application/json"),
            (to_xml(binary), "application/fhir+xml"),
        ],
        start=1,
    ):
        response = client.put("Binary/b", content=content, headers={"content-type": content_type})
        assert (response.status_code in (200, 201), response.headers["etag"]) == (True, f'W/"{number}"')
    assert client.get("Binary/b", headers={"accept": "text/plain"}).content == b"a"


def test_other_resource_is_content(client: Client) -> None:
    patient = b'{"resourceType":"Patient"}'
    identity = create(client, patient, "application/fhir+json")
    resource = client.get(f"Binary/{identity}", headers=FHIR).json()
    assert (resource["contentType"], resource["data"]) == (
        "application/fhir+json",
        b64encode(patient).decode(),
    )
    cda = b"<ClinicalDocument xmlns='urn:hl7-org:v3'/>"
    identity = create(client, cda, "application/xml")
    assert client.get(f"Binary/{identity}", headers={"accept": "application/xml"}).content == cda


def test_security_context_goes_both_ways(client: Client) -> None:
    client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    identity = create(client, context="http://127.0.0.1:8000/fhir/Patient/p")
    assert client.get(f"Binary/{identity}", headers=FHIR).json()["securityContext"] == {
        "reference": "Patient/p"
    }
    raw = client.get(f"Binary/{identity}", headers={"accept": "image/png"})
    assert raw.headers["x-security-context"] == "Patient/p"


def test_bad_bodies_are_refused(client: Client) -> None:
    assert_outcome(
        client.post("Binary", content=b"{", headers={"content-type": "application/fhir+json"}),
        400,
        "structure",
        "The body is not JSON: unexpected end of data at line 1, column 2",
    )
    assert_outcome(
        client.post("Binary", content=b"x", headers={"content-type": "png"}),
        415,
        "not-supported",
        "The content type `png` is not a media type",
    )
    missing = client.post("Binary", json={"resourceType": "Binary", "data": "YQ=="})
    assert (missing.status_code, missing.json()["issue"][0]["expression"]) == (422, ["Binary.contentType"])
    other = client.put("Binary/b", json={"resourceType": "Binary", "id": "c", "contentType": "a/b"})
    assert other.status_code == 400


def test_content_type_that_is_no_header_is_served_as_octets(client: Client) -> None:
    binary = {"resourceType": "Binary", "id": "b", "contentType": "image/png;\u00e9=1", "data": "YQ=="}
    assert client.put("Binary/b", json=binary).status_code == 201
    raw = client.get("Binary/b", headers={"accept": "image/*"})
    assert (raw.headers["content-type"], raw.content) == ("application/octet-stream", b"a")


def test_text_without_charset_gets_none(client: Client) -> None:
    identity = create(client, "数据".encode("gb18030"), "text/plain")
    raw = client.get(f"Binary/{identity}", headers={"accept": "text/plain"})
    assert (raw.headers["content-type"], raw.content) == ("text/plain", "数据".encode("gb18030"))


def test_content_of_json_may_be_anything(client: Client) -> None:
    deep = b"<a>" * 100 + b"</a>" * 100
    assert client.post("Binary", content=deep, headers={"content-type": "text/xml"}).status_code == 201
    for content in (b"[" * 500 + b"]" * 500, b"{", b'"a"'):
        identity = create(client, content, "application/json")
        assert client.get(f"Binary/{identity}", headers=FHIR).json()["data"] == b64encode(content).decode()


def test_deleted_binary_is_gone(client: Client) -> None:
    identity = create(client)
    assert client.delete(f"Binary/{identity}").status_code == 204
    assert client.get(f"Binary/{identity}", headers={"accept": "image/png"}).status_code == 410
