"""The CapabilityStatement says what the server can do: https://hl7.org/fhir/R4/http.html#capabilities.

Operations are tried in tests/fhir_server/operations/test_dispatch.py, compartments in
tests/fhir_server/compartments.
"""

from collections.abc import Iterator

import pytest

from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie import app, wiring
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings, ValidationLevel
from tests.fhir_server.interactions.client import Client

PATIENT = {"resourceType": "Patient", "id": "p", "gender": "male"}


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """A client whose requests are relative to the FHIR base."""
    with wiring.build(Settings(), database_url=database_url) as exchange:
        yield Client(app.build(exchange))


@pytest.fixture
def statement(client: Client) -> JsonObject:
    """The CapabilityStatement."""
    answer = client.get("metadata")
    assert answer.status_code == 200, answer.text
    found: JsonObject = answer.json()
    return found


def patient_of(statement: JsonObject) -> JsonObject:
    return next(each for each in statement["rest"][0]["resource"] if each["type"] == "Patient")


def test_it_is_valid(statement: JsonObject) -> None:
    validator = ResourceValidator(StructureValidator())
    assert validator.validate(statement, level=ValidationLevel.STRICT) == []


def test_every_interaction_that_is_claimed_is_done(client: Client, statement: JsonObject) -> None:
    done = {
        "update": client.put("Patient/p", json=PATIENT).status_code == 201,
        "create": client.post("Patient", json=PATIENT).status_code == 201,
        "read": client.get("Patient/p").status_code == 200,
        "vread": client.get("Patient/p/_history/1").status_code == 200,
        "history-instance": client.get("Patient/p/_history").status_code == 200,
        "history-type": client.get("Patient/_history").status_code == 200,
        "search-type": client.get("Patient?gender=male").status_code == 200,
        "patch": client.request(
            "PATCH",
            "Patient/p",
            content=b'[{"op":"replace","path":"/gender","value":"female"}]',
            headers={"content-type": "application/json-patch+json"},
        ).status_code
        == 200,
        "delete": client.delete("Patient/p").status_code in (200, 204),
    }
    assert done == dict.fromkeys(done, True)
    assert {each["code"] for each in patient_of(statement)["interaction"]} == set(done)


def test_every_interaction_of_the_system_that_is_claimed_is_done(
    client: Client, statement: JsonObject
) -> None:
    done = {
        "transaction": client.post("", json={"resourceType": "Bundle", "type": "transaction"}).status_code
        == 200,
        "batch": client.post("", json={"resourceType": "Bundle", "type": "batch"}).status_code == 200,
        "history-system": client.get("_history").status_code == 200,
        "search-system": client.get("http://127.0.0.1:8000/fhir?_type=Patient").status_code == 200,
    }
    assert done == dict.fromkeys(done, True)
    assert {each["code"] for each in statement["rest"][0]["interaction"]} == set(done)


def test_every_format_that_is_claimed_is_answered(client: Client, statement: JsonObject) -> None:
    client.put("Patient/p", json=PATIENT)
    assert len(statement["format"]) == 4
    for name in statement["format"]:
        answer = client.get("Patient/p", params={"_format": name})
        assert answer.status_code == 200
        assert ("xml" in answer.headers["content-type"]) == ("xml" in name)
    assert len(statement["patchFormat"]) == 4
    for name in statement["patchFormat"]:
        answer = client.request("PATCH", "Patient/p", content=b"", headers={"content-type": name})
        assert answer.status_code == 400
    other = client.request("PATCH", "Patient/p", content=b"", headers={"content-type": "text/plain"})
    assert other.status_code == 415


def test_conditional_interactions_are_as_claimed(client: Client, statement: JsonObject) -> None:
    described = patient_of(statement)
    assert described["conditionalDelete"] == "multiple"
    assert described["conditionalCreate"] is True
    assert described["conditionalUpdate"] is True
    assert described["conditionalRead"] == "full-support"
    client.put("Patient/p", json=PATIENT)
    client.put("Patient/q", json={**PATIENT, "id": "q"})
    assert client.post("Patient", json=PATIENT, headers={"if-none-exist": "_id=p"}).status_code == 200
    assert client.get("Patient/p", headers={"if-none-match": 'W/"1"'}).status_code == 304
    assert client.put("Patient?_id=p", json=PATIENT).status_code == 200
    assert client.delete("Patient?gender=male").status_code in (200, 204)
    assert [client.get(f"Patient/{name}").status_code for name in "pq"] == [410, 410]


def test_one_conditional_delete_is_claimed_where_the_setting_allows_one(database_url: str) -> None:
    settings = Settings(conditional_delete_limit=1)
    with wiring.build(settings, database_url=database_url) as exchange:
        single = Client(app.build(exchange)).get("metadata").json()
    assert patient_of(single)["conditionalDelete"] == "single"


def test_every_search_parameter_of_patient_that_is_claimed_is_known(
    client: Client, statement: JsonObject
) -> None:
    values = {
        "date": "2020",
        "token": "a",
        "string": "a",
        "reference": "Patient/p",
        "uri": "http://a.example",
    }
    for parameter in patient_of(statement)["searchParam"]:
        if parameter["type"] not in values:
            continue
        value = values[parameter["type"]]
        # A target that the parameter may lead to.
        if parameter["name"] in ("organization", "general-practitioner"):
            value = "Organization/o"
        answer = client.get("Patient", params={parameter["name"]: value})
        assert answer.status_code == 200, (parameter, answer.text)


STRICT = {"prefer": "handling=strict"}
# Name of a parameter of every search -> a search with it.
SEARCHES = {
    "_id": "Patient?_id=p",
    "_lastUpdated": "Patient?_lastUpdated=gt2020",
    "_profile": "Patient?_profile=http://hie.example/profile",
    "_security": "Patient?_security=R",
    "_source": "Patient?_source=http://hie.example/source",
    "_tag": "Patient?_tag=t",
    "_text": "Patient?_text=word",
    "_content": "Patient?_content=word",
    "_filter": "Patient?_filter=gender eq male",
    "_has": "Patient?_has:Observation:patient:_id=o",
    "_list": "Patient?_list=l",
    "_type": "http://127.0.0.1:8000/fhir?_type=Patient",
    "_sort": "Patient?_sort=_lastUpdated",
    "_count": "Patient?_count=1",
    "_include": "Patient?_include=*",
    "_revinclude": "Patient?_revinclude=*",
    "_summary": "Patient?_summary=true",
    "_total": "Patient?_total=accurate",
    "_elements": "Patient?_elements=id",
    "_contained": "Patient?_contained=both",
    "_containedType": "Patient?_contained=both&_containedType=container",
    "_query": "Patient?_query=current",
}


@pytest.mark.parametrize("full_text", ["false", "true"])
def test_every_parameter_of_all_searches_that_is_claimed_is_known_and_no_other(
    database_url: str, full_text: str
) -> None:
    with wiring.build(Settings(full_text=full_text == "true"), database_url=database_url) as exchange:
        client = Client(app.build(exchange))
        client.put("Patient/p", json=PATIENT)
        claimed = client.get("metadata").json()["rest"][0]["searchParam"]
        names = [each["name"] for each in claimed]
        assert len(names) == len(set(names))
        assert set(names) <= SEARCHES.keys()
        for name, url in SEARCHES.items():
            answer = client.get(url, headers=STRICT)
            assert answer.status_code == (200 if name in names else 400), (name, answer.text)


def test_its_etag_spares_sending_it_again(client: Client) -> None:
    etag = client.get("metadata").headers["etag"]
    assert client.get("metadata", headers={"if-none-match": etag}).status_code == 304
    assert client.get("metadata", headers={"if-none-match": 'W/"other"'}).status_code == 200
