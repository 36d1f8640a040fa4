"""Bodies and preferences as the interactions get them, over HTTP."""

import asyncio
import gzip
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from fhir_server.interactions.negotiation import (
    Preferences,
    check_format,
    preferences,
    preferred_return,
    read_body,
    read_form,
    read_patch_body,
)
from hie.core.fhir.json import dumps, loads
from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from hie.core.web import errors
from hie.core.web.content_coding import encoded
from hie.core.web.media_types import wanted

PATIENT = {"resourceType": "Patient", "active": True, "name": [{"family": "Ω"}]}
LIMIT = 3_000


def build() -> FastAPI:
    app = FastAPI()
    errors.install(app)

    @app.post("/body")
    async def body(request: Request) -> Response:
        check_format(request)
        return Response(await read_body(request, LIMIT))

    @app.post("/patch")
    async def patch(request: Request) -> Response:
        kind, text = await read_patch_body(request, LIMIT)
        return Response(text, headers={"kind": kind})

    @app.post("/form")
    async def form(request: Request) -> dict[str, Any]:
        found = await read_form(request, LIMIT)
        return {"parameters": found, "wanted": wanted(request)}

    return app


APP = build()


def post(path: str, content: Any, **headers: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.post(path, content=content, headers=names)

    return asyncio.run(send())


def test_body_is_json_whatever_came_in() -> None:
    json, xml = dumps(PATIENT), to_xml(PATIENT)
    for text, content_type in ((json, "application/fhir+json"), (xml, "application/fhir+xml; charset=utf-8")):
        assert post("/body", text, content_type=content_type).content == json
        for body, coding in ((gzip.compress(text), "gzip"), (encoded(text, "zstd"), "zstd")):
            sent = post("/body", body, content_type=content_type, content_encoding=coding)
            assert sent.content == json, sent.text


@pytest.mark.parametrize(
    ("content", "headers", "status", "message", "expression"),
    [
        (
            b"<Patient xmlns='http://hl7.org/fhir'><visit/></Patient>",
            {"content_type": "application/fhir+xml"},
            400,
            "`Patient` has no element `visit` (line 1)",
            ["Patient.visit"],
        ),
        (
            b"{}",
            {"content_type": "application/fhir+json; fhirVersion=5.0"},
            415,
            "FHIR 5.0 is not supported; 4.0 is",
            None,
        ),
        (
            b"{}",
            {"content_type": "text/turtle"},
            415,
            (
                "The content type `text/turtle` is not supported; application/fhir+json and"
                " application/fhir+xml are"
            ),
            None,
        ),
        (
            b"{}",
            {"content_type": "application/json", "content_encoding": "br"},
            415,
            "The content encoding `br` is not supported; gzip and zstd are",
            None,
        ),
        (
            b"{}",
            {"content_type": "application/json", "content_encoding": "gzip"},
            400,
            "The body is not gzip, or asks for too much memory",
            None,
        ),
        (
            gzip.compress(b" " * (LIMIT + 1), mtime=0),
            {"content_type": "application/json", "content_encoding": "gzip"},
            413,
            "The body is larger than 3000 bytes without its gzip",
            None,
        ),
        (
            b" " * (LIMIT + 1),
            {"content_type": "application/json"},
            413,
            "The body is larger than 3000 bytes",
            None,
        ),
    ],
)
def test_bodies_that_are_refused(
    content: bytes, headers: dict[str, str], status: int, message: str, expression: list[str] | None
) -> None:
    response = post("/body", content, **headers)
    (issue,) = response.json()["issue"]
    assert (response.status_code, issue["diagnostics"], issue.get("expression")) == (
        status,
        message,
        expression,
    )


def test_errors_come_in_the_format_that_is_asked_for() -> None:
    response = post("/body", b"{}", content_type="text/plain", accept="application/fhir+xml")
    assert response.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    outcome = from_xml(response.content)
    assert (outcome["resourceType"], outcome["issue"][0]["code"]) == ("OperationOutcome", "not-supported")
    neither = post("/body", b"{}", content_type="application/json", accept="text/turtle")
    assert neither.status_code == 406
    assert neither.headers["content-type"] == "application/fhir+json; charset=utf-8"


def test_error_that_quotes_what_xml_has_not_shows_a_replacement_character() -> None:
    response = post("/body", b"{}", content_type="text/\x01", accept="application/fhir+xml")
    assert response.status_code == 415
    assert "text/\ufffd" in from_xml(response.content)["issue"][0]["diagnostics"]


def test_patches_of_both_kinds() -> None:
    operations = b'[{"op":"test","path":"/active","value":true}]'
    json_patch = post("/patch", operations, content_type="application/json-patch+json")
    assert (json_patch.headers["kind"], json_patch.content) == ("json-patch", operations)
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation"}]}
    patch = post("/patch", to_xml(parameters), content_type="application/fhir+xml")
    assert (patch.headers["kind"], loads(patch.content)) == ("fhirpath", parameters)
    assert post("/patch", b"<diff/>", content_type="application/xml-patch+xml").status_code == 415


def test_form_gives_parameters_and_format() -> None:
    form = "application/x-www-form-urlencoded"
    response = post("/form", b"name=a%2Cb&name=&_format=xml&_pretty=true", content_type=form)
    assert response.json() == {
        "parameters": [["name", "a,b"], ["name", ""], ["_format", "xml"], ["_pretty", "true"]],
        "wanted": ["xml", True],
    }
    assert post("/form", b"").json()["parameters"] == []
    assert post("/form", b"{}", content_type="application/json").status_code == 415
    assert post("/form", b"name=%ff", content_type=form).status_code == 400
    assert post("/form", b"a&" * 1_001, content_type=form).status_code == 400


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Preferences()),
        (["return=minimal"], Preferences("minimal")),
        (['Return="OperationOutcome"'], Preferences("OperationOutcome")),
        (["respond-async, handling=strict"], Preferences(None, "strict", responds_async=True)),
        (["return=representation; handling=lenient"], Preferences("representation", "lenient")),
        (
            ["return=minimal", "return=representation"],
            Preferences("minimal"),
        ),  # RFC 7240, 2: the first counts
        (["return=all, handling=never, wait=10"], Preferences()),
    ],
)
def test_preferences(headers: list[str], expected: Preferences) -> None:
    raw = [(b"prefer", header.encode()) for header in headers]
    request = Request({"type": "http", "query_string": b"", "headers": raw})
    assert preferences(request) == expected
    assert preferred_return(request) == (expected.returns or "representation")
