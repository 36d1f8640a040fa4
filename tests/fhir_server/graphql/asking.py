"""How the tests ask $graphql, and what they ask about."""

from hie.core.fhir.json import Json, JsonObject, dumps
from tests.fhir_server.bad_input.api import FHIR, STRUCTURE, Client

GRAPHQL = {"content-type": "application/graphql"}
JSON = {"content-type": "application/json"}


def ask(client: Client, document: str, place: str = "", **variables: Json) -> Json:
    """Return the data of the answer; `place` is "Patient/1" for an instance."""
    body = dumps({"query": document, "variables": variables})
    path = f"/fhir/{place}/$graphql" if place else "/fhir/$graphql"
    response = client.request("POST", path, content=body, headers=JSON)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"data"}
    return response.json()["data"]


def refusal(client: Client, document: str, place: str = "", **variables: Json) -> tuple[int, str, str]:
    """Return status, issue code and message of an answer that is an error, itself checked."""
    body = dumps({"query": document, "variables": variables})
    path = f"/fhir/{place}/$graphql" if place else "/fhir/$graphql"
    response = client.request("POST", path, content=body, headers=JSON)
    answer = response.json()
    assert response.headers["content-type"] == "application/json"
    assert answer["data"] is None
    first = answer["errors"][0]
    outcome = first["extensions"]["resource"]
    assert STRUCTURE.validate(outcome) == []
    assert outcome["issue"][0]["diagnostics"] == first["message"]
    return response.status_code, outcome["issue"][0]["code"], first["message"]


def store(client: Client, *resources: JsonObject) -> None:
    """Store `resources` under their ids."""
    for each in resources:
        path = f"/fhir/{each['resourceType']}/{each['id']}"
        response = client.request("PUT", path, content=dumps(each), headers=FHIR)
        assert response.status_code in (200, 201), response.text


def patient(identity: str, **elements: Json) -> JsonObject:
    """Return a Patient with two names."""
    names = [
        {"use": "official", "family": "示例", "given": ["一", "二"], "period": {"start": "2001"}},
        {"use": "usual", "given": ["三"], "period": {"start": "2002"}},
    ]
    return {"resourceType": "Patient", "id": identity, "name": names, **elements}


def observation(identity: str, subject: str | None = None, **elements: Json) -> JsonObject:
    """Return an Observation."""
    made: JsonObject = {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        **elements,
    }
    if subject is not None:
        made["subject"] = {"reference": subject}
    return made
