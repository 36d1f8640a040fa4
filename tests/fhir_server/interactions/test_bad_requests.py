"""Requests that are refused: the whole OperationOutcome, and nothing is written."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.fhir_server.interactions.client import Client, assert_outcome

CountRows = Callable[[], tuple[int, ...]]

GROUP = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}


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
        "POST", "Patient", b"{}", {"content-type": "text/turtle"}, 415, "not-supported",
        "The content type `text/turtle` is not supported; application/fhir+json and application/fhir+xml are",
        None,
    ),
    (
        "POST", "Patient", b"{}", {"content-type": "application/fhir+xml"}, 400, "structure",
        "The body is not XML: not well-formed (invalid token) at line 1, column 1", None,
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
        "The resource's id is missing, but the URL names `p`", "Patient.id",
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
        "POST", "Patient", b'{"resourceType":"Patient"}', {"accept": "text/turtle"}, 406, "not-supported",
        "None of `text/turtle` is supported; application/fhir+json and application/fhir+xml of FHIR 4.0 are",
        None,
    ),
    (
        "POST", "Patient?_format=ttl", b'{"resourceType":"Patient"}', {}, 406, "not-supported",
        "The format `ttl` is not supported; json and xml of FHIR 4.0 are", "_format",
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


def test_criteria_without_a_search_parameter_select_nothing(client: Client) -> None:
    assert client.put("Group/g", json=GROUP).status_code == 201
    for answer in (
        client.delete("Group?_count=1"),
        client.put("Group?_sort=_id", json={key: value for key, value in GROUP.items() if key != "id"}),
        client.post("Group", json=GROUP, headers={"If-None-Exist": "_total=none"}),
    ):
        assert answer.status_code == 400, answer.text
        assert "name no search parameter" in answer.json()["issue"][0]["diagnostics"]
    assert client.get("Group/g").status_code == 200


def test_two_entries_of_one_full_url_are_refused_and_nothing_is_stored(client: Client) -> None:
    entry = {
        "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
        "resource": {"resourceType": "Patient"},
        "request": {"method": "POST", "url": "Patient"},
    }
    answer = client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]})
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[1].fullUrl"])
    assert client.get("Patient?_total=accurate").json()["total"] == 0


def test_head_answers_as_get_without_a_body(client: Client) -> None:
    client.put("Group/g", json=GROUP)
    for path in ("Group/g", "Group", "Group/g/_history", "Group/g/_history/1", "metadata"):
        head, get = client.request("HEAD", path), client.get(path)
        assert (head.status_code, head.headers["content-type"]) == (200, get.headers["content-type"]), path
        assert head.headers.get("etag") == get.headers.get("etag")
