"""Attachments by every way that resources are written: type, size, programs and the virus scanner."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from fhir_server.attachments.findings import CONTENTS
from hie import wiring
from hie.app import build
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.attachments.scanner import EICAR, scanner
from tests.fhir_server.interactions.client import Client

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
PAGE = b"<!DOCTYPE html><script>alert(1)</script>"
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(60)
NDJSON = "application/fhir+ndjson"

Served = Callable[..., Client]


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    """Makes clients of the whole application without authentication, at settings of a test."""
    with ExitStack() as opened:

        def make(**settings: object) -> Client:
            given = Settings.model_validate({"auth": "off", "attachment_bytes": 4096, **settings})
            return Client(build(opened.enter_context(wiring.build(given, database_url=database_url))))

        yield make


def attachment(content: bytes, content_type: str) -> JsonObject:
    return {"contentType": content_type, "data": b64encode(content).decode()}


def carrier(kind: str, content: bytes, content_type: str) -> JsonObject:
    """Return a resource of `kind` that carries the content."""
    carried = attachment(content, content_type)
    match kind:
        case "Binary":
            return {"resourceType": "Binary", "id": "a", **carried}
        case "DocumentReference":
            return {
                "resourceType": kind,
                "id": "a",
                "status": "current",
                "content": [{"attachment": carried}],
            }
        case "Media":
            return {"resourceType": kind, "id": "a", "status": "completed", "content": carried}
    return {"resourceType": "Patient", "id": "a", "photo": [carried]}


WHERE = {
    "Binary": "Binary.data",
    "DocumentReference": "DocumentReference.content[0].attachment.data",
    "Media": "Media.content.data",
    "Patient": "Patient.photo[0].data",
}
FAULTS = [
    ("other type", PAGE, "image/png", "value", "The content is not `image/png`, as its content type says"),
    ("program", PROGRAM, "application/octet-stream", "business-rule", "The content is a program"),
    ("too long", bytes(4097), "text/plain", "too-long", "The content is larger than 4096 bytes"),
]


def of_write(client: Client, way: str, resource: JsonObject) -> tuple[int, JsonObject]:
    """Write `resource` by a way; return the status and the OperationOutcome."""
    kind, where = resource["resourceType"], f"{resource['resourceType']}/{resource['id']}"
    if way == "update":
        response = client.put(where, json=resource)
    elif way == "create":
        response = client.post(kind, json={key: value for key, value in resource.items() if key != "id"})
    else:
        entry = {"resource": resource, "request": {"method": "PUT", "url": where}}
        response = client.post("", json={"resourceType": "Bundle", "type": way, "entry": [entry]})
        if response.status_code == 200:
            (answer,) = response.json()["entry"]
            given = answer["response"]
            return int(given["status"][:3]), given.get("outcome", {})
    return response.status_code, response.json()


def test_content_that_is_not_what_it_says_is_refused_wherever_it_stands(served: Served) -> None:
    client = served()
    for kind, expression in WHERE.items():
        for _, content, content_type, code, message in FAULTS:
            for way in ("create", "update", "batch", "transaction"):
                status, outcome = of_write(client, way, carrier(kind, content, content_type))
                (issue,) = outcome["issue"]
                assert (status, issue["severity"], issue["code"]) == (422, "error", code), (kind, way)
                assert issue["diagnostics"] == message
                element = expression.partition(".")[2]
                inside = f"Bundle.entry[0].resource.{element}"
                assert issue["expression"] == [inside if way in ("batch", "transaction") else expression]
        assert client.get(f"{kind}?_summary=count").json()["total"] == 0


def test_raw_content_is_looked_at_too(served: Served) -> None:
    client = served()
    for name, content, content_type, code, _ in FAULTS:
        for response in (
            client.post("Binary", content=content, headers={"content-type": content_type}),
            client.put("Binary/a", content=content, headers={"content-type": content_type}),
        ):
            assert response.status_code == 422, name
            assert response.json()["issue"][0]["code"] == code
    made = client.post("Binary", content=PNG, headers={"content-type": "image/png"})
    assert made.status_code == 201


def test_patch_cannot_turn_a_picture_into_a_page(served: Served) -> None:
    client = served()
    assert client.put("Patient/a", json=carrier("Patient", PNG, "image/png")).status_code == 201
    change = [{"op": "replace", "path": "/photo/0/data", "value": b64encode(PAGE).decode()}]
    headers = {"content-type": "application/json-patch+json"}
    response = client.request("PATCH", "Patient/a", content=json.dumps(change), headers=headers)
    assert response.status_code == 422
    assert client.get("Patient/a").json()["meta"]["versionId"] == "1"


def test_resource_for_validation_is_looked_at_and_not_stored(served: Served) -> None:
    outcome = served().post("Media/$validate", json=carrier("Media", PAGE, "image/png")).json()
    assert [each["code"] for each in outcome["issue"] if each["severity"] == "error"] == ["value"]


def test_types_are_not_checked_where_the_setting_says_so(served: Served) -> None:
    client = served(attachment_types="any")
    assert client.put("Media/a", json=carrier("Media", PAGE, "image/png")).status_code == 201
    assert client.put("Binary/a", json=carrier("Binary", PROGRAM, "image/png")).status_code == 201
    # and yet no browser shows it
    shown = client.get("Binary/a", headers={"accept": "image/png"})
    assert shown.headers["content-disposition"] == "attachment"
    assert shown.headers["x-content-type-options"] == "nosniff"


def test_infected_content_is_refused_and_clean_content_stored(served: Served) -> None:
    before = CONTENTS.labels("infected")._value.get()
    with scanner() as daemon:
        client = served(clamav=daemon.address)
        for kind, expression in WHERE.items():
            status, outcome = of_write(client, "update", carrier(kind, EICAR, "text/plain"))
            (issue,) = outcome["issue"]
            assert (status, issue["code"], issue["expression"]) == (422, "business-rule", [expression])
            assert issue["diagnostics"] == "The virus scanner found `Eicar-Test-Signature`"
            assert client.put(f"{kind}/a", json=carrier(kind, PNG, "image/png")).status_code == 201
    assert daemon.scanned == [EICAR, PNG] * len(WHERE)
    assert CONTENTS.labels("infected")._value.get() == before + len(WHERE)


def test_what_becomes_of_content_while_the_scanner_is_away_is_a_setting(served: Served) -> None:
    with scanner() as daemon:
        address = daemon.address
    media = carrier("Media", PNG, "image/png")
    refusing = served(clamav=address)
    response = refusing.put("Media/a", json=media)
    assert response.status_code == 503
    assert response.json()["issue"][0]["code"] == "transient"
    assert refusing.get("Media/a").status_code == 404
    # nothing to scan, nothing to wait for
    assert refusing.put("Patient/a", json={"resourceType": "Patient", "id": "a"}).status_code == 201
    accepting = served(clamav=address, clamav_absent="accepted")
    before = CONTENTS.labels("unscanned")._value.get()
    assert accepting.put("Media/a", json=media).status_code == 201
    assert CONTENTS.labels("unscanned")._value.get() == before + 1


SHOWN = [
    ("image/png", PNG),
    ("application/pdf", b"%PDF-1.4"),
    ("text/plain; charset=utf-8", b"text"),
]
SAVED = [
    ("text/html", PAGE),
    ("image/svg+xml", b"<svg/>"),
    ("application/x-shockwave-flash", b"FWS"),
    ("application/octet-stream", PAGE),
    ("application/vnd.vendor+thing", PAGE),
    ("text/vbscript", b"x"),
    ("application/hta", PAGE),
]


def test_only_types_that_are_known_to_run_nothing_are_shown(served: Served) -> None:
    client = served()
    for content_type, content in SHOWN + SAVED:
        client.put("Binary/a", json=carrier("Binary", content, content_type))
        found = client.get("Binary/a", headers={"accept": "*/*"})
        assert (found.headers["content-type"], found.content) == (content_type, content)
        is_shown = (content_type, content) in SHOWN
        assert found.headers.get("content-disposition") == (None if is_shown else "attachment"), content_type
        assert found.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
