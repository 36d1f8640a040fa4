"""$document: https://hl7.org/fhir/R4/composition-operation-document.html."""

import re

import pytest

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client, assert_outcome
from tests.fhir_server.operations.test_everything import BASE, put

PARTS = ["Composition/c", "Patient/p", "Practitioner/dr", "Organization/o", "Condition/k"]


def composition(*entries: str) -> JsonObject:
    return {
        "status": "final",
        "type": {"text": "Discharge summary"},
        "subject": {"reference": "Patient/p"},
        "date": "2024-03-01",
        "author": [{"reference": f"{BASE}/Practitioner/dr"}, {"reference": "#a"}],
        "contained": [{"resourceType": "Practitioner", "id": "a"}],
        "title": "Summary",
        "custodian": {"reference": "Organization/o/_history/1"},
        "attester": [{"mode": "legal", "party": {"reference": "https://other.example/fhir/Organization/1"}}],
        "section": [{"title": "s", "entry": [{"reference": each} for each in entries]}],
    }


@pytest.fixture
def stored(client: Client) -> str:
    put(client, "Organization", "o")
    put(client, "Practitioner", "dr")
    put(client, "Patient", "p", generalPractitioner=[{"reference": "Practitioner/dr"}])
    put(client, "Condition", "k", subject={"reference": "Patient/p"})
    return put(client, "Composition", "c", **composition("Condition/k", "Condition/k", "Patient/p"))


def test_a_document_holds_the_composition_first_and_what_it_refers_to_once(
    client: Client, stored: str
) -> None:
    answer = client.get(f"{stored}/$document")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "document")
    assert [entry["fullUrl"] for entry in bundle["entry"]] == [f"{BASE}/{part}" for part in PARTS]
    for entry in bundle["entry"]:
        assert entry["resource"] == client.get(entry["fullUrl"]).json()
    # bdl-9 and bdl-10 (https://hl7.org/fhir/R4/bundle.html#invs)
    assert bundle["identifier"]["system"] == "urn:ietf:rfc:3986"
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bundle["identifier"]["value"])
    assert bundle["timestamp"]
    assert client.get("Bundle").json().get("entry", []) == []


def test_persist_stores_the_document_once(client: Client, stored: str) -> None:
    answer = client.get(f"{stored}/$document?persist=true")
    assert answer.status_code == 200, answer.text
    location = answer.headers["location"]
    assert re.fullmatch(rf"{BASE}/Bundle/[0-9a-f-]{{36}}/_history/1", location)
    assert client.get(location).json() == answer.json()
    again = client.post(
        f"{stored}/$document",
        json={"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]},
    )
    assert (again.headers["location"], again.json()) == (location, answer.json())
    put(client, "Condition", "k", subject={"reference": "Patient/p"}, recordedDate="2024-03-02")
    other = client.get(f"{stored}/$document?persist=true")
    assert other.headers["location"] != location
    assert len(client.get("Bundle").json()["entry"]) == 2


def test_at_type_level_the_id_names_the_composition(client: Client, stored: str) -> None:
    expected = client.get(f"{stored}/$document").json()["entry"]
    for identifier in ("c", stored, f"{BASE}/{stored}"):
        assert client.get(f"Composition/$document?id={identifier}").json()["entry"] == expected
    assert_outcome(
        client.get("Composition/$document"),
        400,
        "required",
        "$document at type level needs the `id` of a Composition",
        "id",
    )
    assert_outcome(
        client.get("Composition/$document?id=https://other.example/fhir/Composition/c"),
        400,
        "value",
        "`https://other.example/fhir/Composition/c` names no Composition of this server",
        "id",
    )
    assert_outcome(
        client.get(f"{stored}/$document?id=c"), 400, "value", "`id` is for the type level only", "id"
    )


def test_a_document_that_lacks_a_part_is_refused_with_its_place(client: Client, stored: str) -> None:
    client.delete("Condition/k")
    assert_outcome(
        client.get(f"{stored}/$document?persist=true"),
        422,
        "not-found",
        "The document needs `Condition/k`, which does not exist",
        "Composition.section[0].entry[0].reference",
    )
    assert client.get("Bundle").json().get("entry", []) == []


def test_a_document_of_a_composition_that_is_not_there(client: Client, stored: str) -> None:
    assert client.get("Composition/x/$document").status_code == 404
    client.delete(stored)
    assert client.get(f"{stored}/$document").status_code == 410


def test_the_parameter_graph_is_not_supported(client: Client, stored: str) -> None:
    answer = client.get(f"{stored}/$document?graph=http://graph.example")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "not-supported"
