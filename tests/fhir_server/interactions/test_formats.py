"""XML, gzip and parts of a resource, through the whole API."""

import gzip

import pytest

from hie.core.fhir.json import loads
from hie.core.fhir.xml_read import from_xml
from hie.core.fhir.xml_write import to_xml
from tests.fhir_server.interactions.client import Client, assert_outcome

XML = {"content-type": "application/fhir+xml", "accept": "application/fhir+xml"}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>1 &lt; 2</p></div>'
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "text": {"status": "generated", "div": DIV},
    "identifier": [{"system": "http://a.example", "value": "1"}],
    "name": [{"family": "Ω", "_family": {"extension": [{"url": "http://a.example", "valueDecimal": 1.5}]}}],
    "birthDate": "2000-01-01",
}


def put(client: Client) -> None:
    response = client.put("Patient/p", content=to_xml(PATIENT), headers=XML)
    assert response.status_code == 201, response.text
    assert response.headers["content-type"] == "application/fhir+xml; charset=utf-8"


def test_resource_written_in_xml_is_read_in_json_and_xml(client: Client) -> None:
    put(client)
    json = client.get("Patient/p")
    resource = loads(json.content)
    meta = resource.pop("meta")
    assert resource == PATIENT
    for options in ({"headers": {"accept": "application/fhir+xml"}}, {"params": {"_format": "xml"}}):
        xml = client.get("Patient/p", **options)
        assert xml.headers["content-type"] == "application/fhir+xml; charset=utf-8"
        assert xml.headers["vary"] == "Accept"
        assert xml.headers["etag"] == json.headers["etag"]
        assert from_xml(xml.content) == {**PATIENT, "meta": meta}
    pretty = client.get("Patient/p?_format=xml&_pretty=true").text
    assert '\n  <birthDate value="2000-01-01"/>\n' in pretty


def test_unchanged_resource_in_the_other_format_makes_no_version(client: Client) -> None:
    put(client)
    again = client.put("Patient/p", json=PATIENT)
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')


def test_transaction_in_xml_is_answered_in_xml(client: Client) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": PATIENT, "request": {"method": "PUT", "url": "Patient/p"}},
            {"request": {"method": "GET", "url": "Patient/p"}},
        ],
    }
    answer = from_xml(client.post("", content=to_xml(bundle), headers=XML).content)
    assert (answer["type"], answer["entry"][1]["resource"]["id"]) == ("transaction-response", "p")


def test_search_history_and_metadata_in_xml(client: Client) -> None:
    put(client)
    for path, kind in (
        ("Patient?identifier=http://a.example|1", "searchset"),
        ("Patient/p/_history", "history"),
    ):
        bundle = from_xml(client.get(path, headers={"accept": "application/fhir+xml"}).content)
        assert (bundle["type"], len(bundle["entry"])) == (kind, 1)
    statement = from_xml(client.get("metadata?_format=xml").content)
    assert statement["resourceType"] == "CapabilityStatement"


def test_invalid_resource_in_xml_gets_an_outcome_in_xml(client: Client) -> None:
    text = to_xml({**PATIENT, "birthDate": "yesterday"})
    response = client.put("Patient/p", content=text, headers=XML)
    assert response.status_code == 422
    outcome = from_xml(response.content)
    assert outcome["issue"][0]["expression"] == ["Patient.birthDate"]
    assert client.get("Patient/p").status_code == 404


def test_gzip_body_is_stored_and_its_limit_is_that_of_the_whole(client: Client) -> None:
    headers = {**XML, "content-encoding": "gzip"}
    assert client.put("Patient/p", content=gzip.compress(to_xml(PATIENT)), headers=headers).status_code == 201
    bomb = gzip.compress(b" " * 100_001)
    headers = {"content-encoding": "gzip"}
    assert_outcome(
        client.put("Patient/p", content=bomb, headers=headers),
        413,
        "too-long",
        "The body is larger than 100000 bytes without its gzip",
    )


def test_browser_gets_indented_json(client: Client) -> None:
    put(client)
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    response = client.get("Patient/p", headers={"accept": accept})
    assert response.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert '\n  "birthDate": "2000-01-01"' in response.text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("_summary=true", {"identifier", "name", "birthDate"}),
        ("_summary=text", {"text"}),
        ("_summary=data", {"identifier", "name", "birthDate"}),
        ("_elements=birthDate", {"birthDate"}),
        ("_elements=birthDate,identifier", {"birthDate", "identifier"}),
    ],
)
def test_read_shows_the_part_that_is_asked_for(client: Client, query: str, names: set[str]) -> None:
    put(client)
    for path in ("Patient/p", "Patient/p/_history/1"):
        resource = loads(client.get(f"{path}?{query}").content)
        assert set(resource) == {"resourceType", "id", "meta"} | names
        assert resource["meta"]["tag"][0]["code"] == "SUBSETTED"
    whole = loads(client.get("Patient/p?_summary=false").content)
    assert "tag" not in whole["meta"]


def test_read_has_no_other_summary(client: Client) -> None:
    put(client)
    assert_outcome(
        client.get("Patient/p?_summary=count"), 400, "value", "A read has no summary `count`", "_summary"
    )


def test_form_says_the_format_of_a_search_by_post(client: Client) -> None:
    put(client)
    response = client.post(
        "Patient/_search",
        content="identifier=http://a.example|1&_format=xml",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert len(from_xml(response.content)["entry"]) == 1
