"""The operations that are dispatched to ports: terminology, translation and $match.

https://hl7.org/fhir/R4/terminology-service.html, https://hl7.org/fhir/R4/patient-operation-match.html.
"""

from typing import Any

import pytest

from fhir_server.operations.registry import load_operations
from hie import wiring
from hie.core.fhir.json import Json, JsonObject
from terminology.concept_translation import CANONICAL
from tests.fhir_server.interactions.client import Client, assert_outcome
from tests.fhir_server.operations.ports import ANIMALS, VALUE_SET
from tests.fhir_server.operations.test_everything import put

V2_SEX = "http://terminology.hl7.org/CodeSystem/v2-0001"
SEX_MAP = f"{CANONICAL}AdministrativeSex"
DOGS: JsonObject = {
    "url": "http://animals.example/dogs",
    "status": "active",
    "compose": {"include": [{"system": ANIMALS, "concept": [{"code": "dog"}, {"code": "poodle"}]}]},
}


def values(answer: Any) -> dict[str, Json]:
    """Return the value of each parameter by name; parts as such a dictionary, repeated names as a list."""
    found: dict[str, Json] = {}
    for parameter in answer["parameter"]:
        value = next((each for key, each in parameter.items() if key.startswith("value")), None)
        if "part" in parameter:
            found.setdefault(parameter["name"], []).append(values({"parameter": parameter["part"]}))
        else:
            found[parameter["name"]] = value
    return found


def asked(client: Client, url: str) -> dict[str, Json]:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return values(answer.json())


def given(**inputs: Any) -> JsonObject:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, **value} for name, value in inputs.items()],
    }


def test_without_ports_the_operations_are_neither_there_nor_claimed(client: Client) -> None:
    statement = client.get("metadata").json()["rest"][0]
    claimed = {each["name"] for resource in statement["resource"] for each in resource.get("operation", [])}
    claimed |= {each["name"] for each in statement["operation"]}
    absent = {"expand", "lookup", "validate-code", "subsumes", "closure", "match"}
    assert not absent & claimed
    assert "translate" in claimed
    for path in (
        "ValueSet/$expand",
        "CodeSystem/$lookup",
        "CodeSystem/$subsumes",
        "$closure",
        "Patient/$match",
    ):
        answer = client.post(path)
        assert answer.status_code == 404
        assert "There is no operation" in answer.text


def test_with_ports_every_operation_is_there_and_claimed(with_ports: Client) -> None:
    statement = with_ports.get("metadata").json()["rest"][0]
    claimed = {
        each["definition"] for resource in statement["resource"] for each in resource.get("operation", [])
    }
    claimed |= {each["definition"] for each in statement["operation"]}
    assert {operation.definition.url for operation in load_operations()} <= claimed


def test_lookup_returns_what_the_code_system_says(with_ports: Client) -> None:
    found = asked(with_ports, f"CodeSystem/$lookup?system={ANIMALS}&code=poodle&displayLanguage=de&version=7")
    assert found["name"] == "Animals"
    assert (found["version"], found["display"]) == ("7", "Poodle")
    assert found["designation"] == [
        {"language": "de", "use": {"system": "http://use.example", "code": "u"}, "value": "Poodle"}
    ]
    assert found["property"] == [
        {"code": "parent", "value": {"system": ANIMALS, "code": "dog"}},
        {"code": "depth", "value": 2},
        {"code": "tame", "value": True},
        {"code": "note", "value": "n"},
    ]
    coding = {"valueCoding": {"system": ANIMALS, "code": "cat"}}
    answer = with_ports.post("CodeSystem/$lookup", json=given(coding=coding, property={"valueCode": "depth"}))
    assert values(answer.json())["property"] == [{"code": "depth", "value": 1}]
    assert with_ports.get(f"CodeSystem/$lookup?system={ANIMALS}&code=cow").status_code == 404
    assert_outcome(
        with_ports.get("CodeSystem/$lookup?code=cat"),
        400,
        "required",
        "A code is needed with its system",
        "code",
    )


def test_validate_code_in_a_value_set(with_ports: Client) -> None:
    put(with_ports, "ValueSet", "dogs", **DOGS)
    cat = f"system={ANIMALS}&code=cat"
    assert asked(with_ports, f"ValueSet/$validate-code?url={VALUE_SET}&{cat}") == {
        "result": True,
        "display": "Cat",
    }
    assert asked(with_ports, f"ValueSet/dogs/$validate-code?{cat}") == {
        "result": False,
        "message": "`cat` is not there",
    }
    wrong = asked(with_ports, f"ValueSet/$validate-code?url={VALUE_SET}&{cat}&display=Katze")
    assert wrong == {"result": False, "message": "The display is wrong", "display": "Cat"}
    concept = {
        "valueCodeableConcept": {
            "coding": [{"system": ANIMALS, "code": "cat"}, {"system": ANIMALS, "code": "dog"}]
        }
    }
    body = given(codeableConcept=concept, valueSet={"resource": {"resourceType": "ValueSet", **DOGS}})
    answer = with_ports.post("ValueSet/$validate-code", json=body)
    assert values(answer.json()) == {"result": True, "display": "Dog"}
    assert_outcome(
        with_ports.get(f"ValueSet/$validate-code?{cat}"),
        400,
        "required",
        "A value set is needed: `url` or `valueSet`",
        "url",
    )


def test_validate_code_in_a_code_system(with_ports: Client) -> None:
    put(with_ports, "CodeSystem", "animals", url=ANIMALS, status="active", content="not-present")
    assert asked(with_ports, f"CodeSystem/$validate-code?url={ANIMALS}&code=dog")["result"] is True
    assert asked(with_ports, "CodeSystem/animals/$validate-code?code=cow")["result"] is False
    other = {"valueCoding": {"system": "http://other.example", "code": "dog"}}
    answer = with_ports.post("CodeSystem/animals/$validate-code", json=given(coding=other))
    assert values(answer.json())["message"] == "None of the codes is of the code system"
    assert with_ports.get("CodeSystem/$validate-code?code=dog").status_code == 400


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        (("dog", "dog"), "equivalent"),
        (("animal", "poodle"), "subsumes"),
        (("poodle", "dog"), "subsumed-by"),
        (("cat", "dog"), "not-subsumed"),
    ],
)
def test_subsumes(with_ports: Client, codes: tuple[str, str], outcome: str) -> None:
    url = f"CodeSystem/$subsumes?system={ANIMALS}&codeA={codes[0]}&codeB={codes[1]}"
    assert asked(with_ports, url) == {"outcome": outcome}
    first, second = ({"valueCoding": {"system": ANIMALS, "code": code}} for code in codes)
    answer = with_ports.post("CodeSystem/$subsumes", json=given(codingA=first, codingB=second))
    assert values(answer.json()) == {"outcome": outcome}


def test_subsumes_of_two_systems_is_refused(with_ports: Client) -> None:
    first = {"valueCoding": {"system": ANIMALS, "code": "dog"}}
    second = {"valueCoding": {"system": "http://other.example", "code": "dog"}}
    answer = with_ports.post("CodeSystem/$subsumes", json=given(codingA=first, codingB=second))
    assert_outcome(answer, 400, "value", "The two codes are of different systems", "codingB")


def test_expand_pages_and_filters(with_ports: Client) -> None:
    put(with_ports, "ValueSet", "dogs", **DOGS)
    whole = with_ports.get(f"ValueSet/$expand?url={VALUE_SET}").json()
    assert [each["code"] for each in whole["expansion"]["contains"]] == ["animal", "cat", "dog", "poodle"]
    page = with_ports.get(f"ValueSet/$expand?url={VALUE_SET}&offset=1&count=2&displayLanguage=de").json()
    assert [each["code"] for each in page["expansion"]["contains"]] == ["cat", "dog"]
    assert page["language"] == "de"
    dogs = with_ports.get("ValueSet/dogs/$expand?filter=poo").json()
    assert [each["code"] for each in dogs["expansion"]["contains"]] == ["poodle"]
    body = {"resourceType": "ValueSet", **DOGS}
    posted = with_ports.post("ValueSet/$expand", json=body).json()
    assert posted["expansion"]["total"] == 2
    assert_outcome(
        with_ports.get(f"ValueSet/$expand?url={VALUE_SET}&offset=-1"),
        400,
        "value",
        "`offset` is -1, below 0",
        "offset",
    )
    assert with_ports.get("ValueSet/$expand?url=http://unknown.example").status_code == 404


def test_closure(with_ports: Client) -> None:
    concepts = [
        {"name": "concept", "valueCoding": {"system": ANIMALS, "code": code}} for code in ("poodle", "dog")
    ]
    body = {"resourceType": "Parameters", "parameter": [{"name": "name", "valueString": "t"}, *concepts]}
    answer = with_ports.post("$closure", json=body).json()
    assert answer["group"][0]["element"] == [
        {"code": "poodle", "target": [{"code": "dog", "equivalence": "subsumes"}]}
    ]
    assert with_ports.get("$closure?name=t").status_code == 405
    assert with_ports.post("$closure").status_code == 400


def test_translate_by_the_concept_maps_of_the_server(client: Client) -> None:
    found = asked(client, f"ConceptMap/$translate?url={SEX_MAP}&system={V2_SEX}&code=F")
    assert found == {
        "result": True,
        "match": [
            {
                "concept": {
                    "system": "http://hl7.org/fhir/administrative-gender",
                    "code": "female",
                    "display": "Female",
                },
                "source": SEX_MAP,
            }
        ],
    }
    body = given(coding={"valueCoding": {"system": V2_SEX, "code": "M"}})
    everywhere = values(client.post("ConceptMap/$translate", json=body).json())
    assert SEX_MAP in {match["source"] for match in everywhere["match"]}
    national = "urn:oid:2.16.156.10011.2.3.3.4"
    assert (
        asked(client, f"ConceptMap/$translate?system={national}&code=2")["match"][0]["concept"]["code"]
        == "female"
    )


def test_translate_what_has_no_target(client: Client) -> None:
    none = {"result": False, "message": "No concept map has a target for the code"}
    assert asked(client, f"ConceptMap/$translate?system={V2_SEX}&code=XYZ") == none
    # The same code in another system is another code.
    assert asked(client, "ConceptMap/$translate?system=http://other.example&code=F") == none
    elsewhere = (
        f"ConceptMap/$translate?url={SEX_MAP}&system={V2_SEX}&code=F&targetsystem=http://other.example"
    )
    assert asked(client, elsewhere) == none
    assert_outcome(
        client.get(f"ConceptMap/$translate?url=http://unknown.example&system={V2_SEX}&code=F"),
        404,
        "not-found",
        "There is no concept map `http://unknown.example`",
    )


def test_translate_by_a_stored_concept_map_goes_by_its_url(client: Client) -> None:
    put(client, "ConceptMap", "sex", url=SEX_MAP, status="active")
    assert asked(client, f"ConceptMap/sex/$translate?system={V2_SEX}&code=F")["result"] is True
    assert client.get(f"ConceptMap/sex/$translate?system={V2_SEX}&code=F&url={SEX_MAP}").status_code == 400
    assert client.get(f"ConceptMap/none/$translate?system={V2_SEX}&code=F").status_code == 404


def test_match_returns_candidates_with_score_and_grade(with_ports: Client, exchange: wiring.Exchange) -> None:
    assert exchange.settings.base_url
    put(with_ports, "Patient", "a", birthDate="1980-01-01", gender="male")
    put(with_ports, "Patient", "b", birthDate="1980-01-01", gender="female")
    put(with_ports, "Patient", "c", birthDate="1990-01-01", gender="female")
    asked_for = {"resourceType": "Patient", "birthDate": "1980-01-01", "gender": "female"}
    bundle = with_ports.post("Patient/$match", json=asked_for).json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 2)
    first, second = bundle["entry"]
    assert first["resource"] == with_ports.get("Patient/b").json()
    assert first["search"] == {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": "certain"}],
        "mode": "match",
        "score": 1.0,
    }
    assert (second["resource"]["id"], second["search"]["score"]) == ("a", 0.5)
    only = given(resource={"resource": asked_for}, onlyCertainMatches={"valueBoolean": True})
    assert with_ports.post("Patient/$match", json=only).json()["total"] == 1
    none = with_ports.post("Patient/$match", json={**asked_for, "birthDate": "1970-01-01"}).json()
    assert none["total"] == 0
    assert "entry" not in none
    assert with_ports.post("Patient/$match", json={"resourceType": "Patient"}).status_code == 400
    assert with_ports.post("Patient/$match", json={"resourceType": "Group"}).status_code == 400
    assert with_ports.get("Patient/$match").status_code == 405
