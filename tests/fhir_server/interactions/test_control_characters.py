"""Characters that XML does not have: refused by every way of writing, and never in the way of reading.

https://hl7.org/fhir/R4/datatypes.html#string, https://www.w3.org/TR/xml/#charsets.
"""

import json
from base64 import b64encode

import pytest

from hie import wiring
from hie.core.access import ANONYMOUS
from hie.core.fhir.json import JsonObject
from hie.core.fhir.xml_read import from_xml
from hie.core.settings import Settings, ValidationLevel
from tests.fhir_server.interactions.client import Client
from tests.fhir_server.interactions.conftest import Whole

PLACE = "Patient.name[0].family"
MESSAGE = "Expected string, found the control character U+0000"
XML = {"accept": "application/fhir+xml"}


def patient(family: str = "a\x00b") -> JsonObject:
    return {"resourceType": "Patient", "id": "p", "name": [{"family": family}]}


def issue_of(outcome: JsonObject) -> tuple[str, str, list[str]]:
    assert outcome["resourceType"] == "OperationOutcome", outcome
    (issue,) = outcome["issue"]
    return issue["code"], issue["diagnostics"], issue["expression"]


@pytest.mark.parametrize("control", [chr(code) for code in range(32)], ids=lambda text: f"{ord(text):02x}")
def test_only_tab_and_line_ends_of_the_characters_below_32_are_taken(whole: Client, control: str) -> None:
    answer = whole.post("Patient", json=patient(f"a{control}b"))
    assert answer.status_code == (201 if control in "\t\n\r" else 422), answer.text
    if answer.status_code == 422:
        assert issue_of(answer.json()) == (
            "value",
            f"Expected string, found the control character U+{ord(control):04X}",
            [PLACE],
        )
    assert whole.get("Patient", headers=XML).status_code == 200


@pytest.mark.parametrize("character", ["\ufffe", "\uffff"], ids=["fffe", "ffff"])
def test_noncharacters_that_xml_does_not_have_are_refused(whole: Client, character: str) -> None:
    answer = whole.post("Patient", json=patient(f"a{character}b"))
    assert answer.status_code == 422, answer.text
    noncharacter = f"Expected string, found the noncharacter U+{ord(character):04X}"
    assert issue_of(answer.json()) == ("value", noncharacter, [PLACE])
    assert whole.get("Patient", headers=XML).status_code == 200


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("text", {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">\x01</div>'}),
        ("language", "zh\x01"),
        ("implicitRules", "http://hie.example/\x01"),
        ("photo", [{"data": "YQ=\x1c="}]),
        ("photo", [{"url": "http://hie.example/\x01"}]),
        ("extension", [{"url": "http://hie.example/e", "valueMarkdown": "a\x01"}]),
        ("extension", [{"url": "http://hie.example/\x01", "valueBoolean": True}]),
        ("extension", [{"url": "http://hie.example/e", "valueCanonical": "http://hie.example/\x01"}]),
    ],
    ids=["xhtml", "code", "uri", "base64Binary", "url", "markdown", "Extension.url", "canonical"],
)
def test_text_of_every_type_is_refused(whole: Client, element: str, value: object) -> None:
    answer = whole.post("Patient", json={"resourceType": "Patient", element: value})
    assert answer.status_code == 422
    assert "the control character U+00" in answer.json()["issue"][0]["diagnostics"]


def test_every_way_of_writing_refuses_them(whole: Client) -> None:
    assert whole.put("Patient/p", json=patient("a")).status_code == 201
    before = whole.get("Patient/p").json()
    refused = ("value", MESSAGE, [PLACE])
    assert issue_of(whole.put("Patient/p", json=patient()).json()) == refused
    assert issue_of(whole.put("Patient?_id=p", json=patient()).json()) == refused
    for content_type, body in (
        ("json-patch+json", [{"op": "replace", "path": "/name/0/family", "value": "a\x00b"}]),
        ("merge-patch+json", {"name": [{"family": "a\x00b"}]}),
        (
            "fhir+json",
            {
                "resourceType": "Parameters",
                "parameter": [
                    {
                        "name": "operation",
                        "part": [
                            {"name": "type", "valueCode": "replace"},
                            {"name": "path", "valueString": PLACE},
                            {"name": "value", "valueString": "a\x00b"},
                        ],
                    }
                ],
            },
        ),
    ):
        headers = {"content-type": f"application/{content_type}"}
        answer = whole.request("PATCH", "Patient/p", content=json.dumps(body), headers=headers)
        assert answer.status_code == 422, answer.text
        assert "the control character U+0000" in answer.json()["issue"][0]["diagnostics"]
    for kind in ("transaction", "batch"):
        entry = {"resource": patient(), "request": {"method": "PUT", "url": "Patient/p"}}
        answer = whole.post("", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
        found = answer.json()
        found = found if kind == "transaction" else found["entry"][0]["response"]["outcome"]
        assert issue_of(found) == ("value", MESSAGE, ["Bundle.entry[0].resource.name[0].family"])
    mutation = 'mutation($r:Patient){PatientUpdate(id:"p",res:$r){id}}'
    answer = whole.post("$graphql", json={"query": mutation, "variables": {"r": patient()}})
    assert "the control character U+0000" in answer.text
    xml = (
        b'<Patient xmlns="http://hl7.org/fhir"><id value="p"/><name><family value="a&#0;b"/></name></Patient>'
    )
    answer = whole.put("Patient/p", content=xml, headers={"content-type": "application/fhir+xml"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "structure")
    assert whole.get("Patient/p").json() == before


def test_import_refuses_them(database_url: str) -> None:
    with wiring.build(Settings(), database_url=database_url) as exchange:
        line = json.dumps(patient()).encode()
        stored = exchange.imports.own.store([(1, line)], requester=ANONYMOUS)
        issues = [issue for each in stored.failures for issue in each.issues]
        assert (stored.created, [(each["message"], each["expression"]) for each in issues]) == (
            0,
            [(MESSAGE, PLACE)],
        )
        transaction = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": patient(), "request": {"method": "POST", "url": "Patient"}}],
        }
        with exchange.database.transaction() as opened:
            (result,) = exchange.repository.transact(opened, [transaction])
        assert result.error is not None
        assert MESSAGE in result.error.issues[0].message


def test_raw_content_may_have_them(whole: Client) -> None:
    answer = whole.post("Binary", content=b"a\x00b", headers={"content-type": "text/plain"})
    assert answer.json()["data"] == b64encode(b"a\x00b").decode()


@pytest.fixture
def unchecked(whole_with: Whole) -> Client:
    """A client of a server that checks nothing, with one Patient that XML can show and two that it cannot."""
    client = whole_with(Settings(validation=ValidationLevel.OFF))
    for identity, resource in (
        ("good", patient("a")),
        ("control", patient()),
        ("unknown", {"resourceType": "Patient", "colour": "red"}),
    ):
        assert client.put(f"Patient/{identity}", json={**resource, "id": identity}).status_code == 201
    return client


def test_a_page_in_xml_shows_what_xml_can_and_says_what_not(unchecked: Client) -> None:
    in_json = unchecked.get("Patient").json()
    assert {each["resource"]["id"] for each in in_json["entry"]} == {"good", "control", "unknown"}
    page = unchecked.get("Patient", headers=XML)
    assert page.status_code == 200, page.text
    bundle = from_xml(page.content)
    shown = [each["resource"] for each in bundle["entry"] if each["search"]["mode"] == "match"]
    assert [each["id"] for each in shown] == ["good"]
    said = [each for each in bundle["entry"] if each["search"]["mode"] == "outcome"]
    assert all("fullUrl" not in each for each in said)
    reasons = {
        "control": "`family` holds what XML has not (XML has no character U+0000)",
        "unknown": "`Patient.colour` is no element of FHIR R4",
    }
    assert sorted(each["resource"]["issue"][0]["diagnostics"] for each in said) == [
        f"`Patient/{name}` is left out. {reason}: XML cannot show it, JSON can"
        for name, reason in reasons.items()
    ]
    assert {name: value for name, value in bundle.items() if name != "entry"} == {
        name: value for name, value in in_json.items() if name != "entry"
    }


def test_a_history_and_a_batch_in_xml_keep_their_entries(unchecked: Client) -> None:
    history = from_xml(unchecked.get("Patient/_history", headers=XML).content)
    assert len(history["entry"]) == 3
    outcomes = [each["response"]["outcome"] for each in history["entry"] if "resource" not in each]
    assert len(outcomes) == 2
    assert all(each["request"]["method"] == "PUT" for each in history["entry"])
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": f"Patient/{name}"}} for name in ("control", "good")],
    }
    answered = from_xml(unchecked.post("", json=batch, headers=XML).content)
    assert "outcome" in answered["entry"][0]["response"]
    assert answered["entry"][1]["resource"]["id"] == "good"


def test_a_read_in_xml_is_refused_with_its_reason(unchecked: Client) -> None:
    refused = unchecked.get("Patient/control", headers=XML)
    assert refused.status_code == 406
    assert b"XML has no character U+0000" in refused.content
    bundle = {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [{"resource": patient()}]}
    assert unchecked.put("Bundle/b", json=bundle).status_code == 201
    assert unchecked.get("Bundle/b", headers=XML).status_code == 406
