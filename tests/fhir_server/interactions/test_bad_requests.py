"""Requests that are refused: the whole OperationOutcome, and nothing is written."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.fhir_server.interactions.client import Client, assert_outcome

CountRows = Callable[[], tuple[int, ...]]


REFUSED: list[tuple[str, str, bytes, dict[str, str], int, str, str, str | None]] = [
    (
        "POST", "Patient", b'{"resourceType":', {}, 400, "structure",
        "The body is not JSON: unexpected end of data at line 1, column 17", None,
    ),
    (
        "POST", "Patient", b"[1]", {}, 400, "invalid", "A resource of type Patient is expected", None,
    ),
    (
        "POST", "Patient", b'{"resourceType":"Observation"}', {}, 400, "invalid",
        "resourceType is `Observation`, but the request is for Patient", "resourceType",
    ),
    (
        "POST", "Pacient", b'{"resourceType":"Pacient"}', {}, 404, "not-supported",
        "`Pacient` is not a resource type of FHIR R4", None,
    ),
    (
        "POST", "Patient", b"{}", {"content-type": "application/fhir+xml"}, 415, "not-supported",
        "The content type `application/fhir+xml` is not supported; application/fhir+json is", None,
    ),
    (
        "POST", "Patient", b"{}", {"content-type": "application/json; charset=gb18030"}, 415, "not-supported",
        "The charset `gb18030` is not supported; utf-8 is", None,
    ),
    (
        "POST", "Patient", b"{" + b" " * 100_000 + b"}", {}, 413, "too-long",
        "The body is larger than 100000 bytes", None,
    ),
    (
        "PUT", "Patient/p", b'{"resourceType":"Patient"}', {}, 400, "invalid",
        "The resource's id is `None`, but the URL names `p`", "Patient.id",
    ),
    (
        "PUT", "Patient/p", b'{"resourceType":"Patient","id":"p"}', {"if-match": "1"}, 400, "invalid",
        '`1` is not an ETag of the form W/"1"', None,
    ),
    (
        "PUT", "Patient", b'{"resourceType":"Patient"}', {}, 400, "value",
        "Conditional criteria on Patient name no search parameter", None,
    ),
    (
        "POST", "Patient", b'{"resourceType":"Patient"}', {"accept": "application/fhir+xml"}, 406,
        "not-supported", "None of `application/fhir+xml` is supported; application/fhir+json is", None,
    ),
    (
        "POST", "Patient?_format=xml", b'{"resourceType":"Patient"}', {}, 406, "not-supported",
        "The format `xml` is not supported; JSON is", "_format",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "url", "body", "headers", "status", "code", "diagnostics", "expression"), REFUSED
)
def test_a_bad_request_gets_an_operation_outcome_and_writes_nothing(
    client: Client,
    count_rows: CountRows,
    method: str,
    url: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
    diagnostics: str,
    expression: str | None,
) -> None:
    response = client.request(method, url, content=body, headers=headers)
    assert_outcome(response, status, code, diagnostics, expression)
    assert count_rows() == (0, 0, 0, 0)


def test_an_invalid_resource_gets_422_with_every_finding(client: Client, count_rows: CountRows) -> None:
    response = client.post("Patient", json={"resourceType": "Patient", "gender": 1, "birthDate": "soon"})
    assert response.status_code == 422
    assert sorted(issue["expression"][0] for issue in response.json()["issue"]) == [
        "Patient.birthDate",
        "Patient.gender",
    ]
    assert count_rows() == (0, 0, 0, 0)


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(2):
        yield b" " * 60_000


def test_a_body_without_declared_length_is_limited_too(client: Client, count_rows: CountRows) -> None:
    response = client.post("Patient", content=_chunks())
    assert_outcome(response, 413, "too-long", "The body is larger than 100000 bytes")
    assert count_rows() == (0, 0, 0, 0)
