"""Headers and general parameters that cannot be met: 4xx with an OperationOutcome, nothing written."""

import pytest

from hie.core.fhir.json import dumps
from tests.fhir_server.bad_input.api import FHIR, PATIENT, Client, Rows, issues_of, patient


@pytest.mark.parametrize("value", ["1", "W/1", '""', 'W/"1', '"1" "2"', "1, 2"])
def test_an_if_match_that_is_no_etag_is_refused(client: Client, rows: Rows, value: str) -> None:
    before = rows()
    headers = {**FHIR, "if-match": value}
    response = client.request("PUT", "/fhir/Patient/p1", content=dumps(PATIENT), headers=headers)
    assert response.status_code == 400
    assert [code for code, _ in issues_of(response)] == ["invalid"]
    assert rows() == before


@pytest.mark.parametrize("version", ["2", "0", "a", "99999999999999999999", "-1"])
def test_a_stale_or_impossible_if_match_is_a_failed_precondition(
    client: Client, rows: Rows, version: str
) -> None:
    before = rows()
    headers = {**FHIR, "if-match": f'W/"{version}"'}
    body = dumps({**PATIENT, "gender": "other"})
    response = client.request("PUT", "/fhir/Patient/p1", content=body, headers=headers)
    assert response.status_code == 412
    assert [code for code, _ in issues_of(response)] == ["conflict"]
    assert rows() == before


@pytest.mark.parametrize(
    ("criteria", "code"),
    [
        ("", "value"),
        ("Patient", "value"),
        ("foo=1", "not-supported"),
        ("birthdate=yesterday", "value"),
        ("identifier=", "value"),
        ("identifier=|", "value"),
        ("name=%00", "value"),
    ],
)
def test_if_none_exist_that_cannot_be_understood_is_refused(
    client: Client, rows: Rows, criteria: str, code: str
) -> None:
    before = rows()
    headers = {**FHIR, "if-none-exist": criteria}
    response = client.request("POST", "/fhir/Patient", content=dumps(patient()), headers=headers)
    assert response.status_code == 400
    assert [found for found, _ in issues_of(response)] == [code]
    assert rows() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_conditional_interactions_without_criteria_are_refused(
    client: Client, rows: Rows, method: str
) -> None:
    before = rows()
    content = dumps(patient()) if method == "PUT" else None
    response = client.request(method, "/fhir/Patient", content=content, headers=FHIR if content else None)
    assert response.status_code in (400, 405, 412)
    assert issues_of(response)
    assert rows() == before


@pytest.mark.parametrize(
    "accept",
    ["text/turtle", "application/fhir+xml; fhirVersion=5.0", "image/png", "application/fhir+json;q=0"],
)
def test_an_accept_without_json_and_xml_is_not_acceptable(client: Client, rows: Rows, accept: str) -> None:
    before = rows()
    response = client.request("GET", "/fhir/Patient/p1", headers={"accept": accept})
    assert response.status_code == 406
    assert [code for code, _ in issues_of(response)] == ["not-supported"]
    created = client.request(
        "POST", "/fhir/Patient", content=dumps(patient()), headers={**FHIR, "accept": accept}
    )
    assert created.status_code == 406
    assert rows() == before


@pytest.mark.parametrize(
    "name", ["application/fhir turtle", "text/turtle", "ttl", "%00", "xml;fhirVersion=5.0"]
)
def test_a_format_other_than_json_and_xml_is_not_acceptable(client: Client, name: str) -> None:
    response = client.get(f"/fhir/Patient/p1?_format={name}")
    assert response.status_code == 406
    assert issues_of(response) == [("not-supported", ["_format"])]


@pytest.mark.parametrize(
    "query",
    [
        "_count=-1",
        "_count=a",
        "_count=%D9%A1",
        "_count=9999999999999999999",
        "_since=yesterday",
        "_since=",
        "_before=a",
        "_before=-1",
        "_at=2024-13",
    ],
)
def test_a_history_that_cannot_be_understood_is_refused(client: Client, query: str) -> None:
    response = client.get(f"/fhir/Patient/p1/_history?{query}")
    assert response.status_code == 400
    assert [expressions for _, expressions in issues_of(response)] == [[query.partition("=")[0]]]


@pytest.mark.parametrize("version", ["0", "2", "a", "-1", "%00", "99999999999999999999", "1.0", "%D9%A1"])
def test_a_version_that_is_not_there_is_not_found(client: Client, version: str) -> None:
    response = client.get(f"/fhir/Patient/p1/_history/{version}")
    assert response.status_code == 404
    assert [code for code, _ in issues_of(response)] == ["not-found"]


@pytest.mark.parametrize("name", ["if-none-match", "if-modified-since", "prefer"])
@pytest.mark.parametrize(
    "value", ["", "x", '"', "return=", "9999999999", "W/", "Mon, 99 Foo 2024 99:99:99 GMT"]
)
def test_a_header_that_cannot_be_read_and_need_not_be_is_passed_over(
    client: Client, name: str, value: str
) -> None:
    response = client.request("GET", "/fhir/Patient/p1", headers={name: value})
    assert response.status_code == 200
    assert response.json()["id"] == "p1"
