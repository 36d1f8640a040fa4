"""$validate: https://hl7.org/fhir/R4/resource-operation-validate.html, with profiles that clients store."""

from pathlib import Path

import pytest

from hie import app, wiring
from hie.core.fhir.json import JsonObject, loads
from hie.core.settings import Settings, ValidationLevel
from tests.fhir_server.interactions.client import Client, assert_outcome

URL = "http://profile.example/StructureDefinition/named-patient"
ABOUT_NAMED = "http://profile.example/StructureDefinition/about-named"
NOTHING_WRONG = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "information", "code": "informational", "diagnostics": "No issues were found"}],
}
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">text</div>'}


def named_patient(**changes: str | int) -> JsonObject:
    """Return a profile that asks for a family name."""
    return {
        "resourceType": "StructureDefinition",
        "id": "named-patient",
        "url": URL,
        "name": "NamedPatient",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Patient", "path": "Patient"},
                {"id": "Patient.name", "path": "Patient.name", "min": 1},
                {"id": "Patient.name.family", "path": "Patient.name.family", "min": 1, **changes},
            ]
        },
    }


def patient(**elements: object) -> JsonObject:
    return {"resourceType": "Patient", "text": NARRATIVE, **elements}


def parameters(resource: JsonObject | None = None, **codes: str) -> JsonObject:
    listed: list[JsonObject] = [] if resource is None else [{"name": "resource", "resource": resource}]
    listed += [
        {"name": name, "valueUri" if name == "profile" else "valueCode": value}
        for name, value in codes.items()
    ]
    return {"resourceType": "Parameters", "parameter": listed}


def issues(answer: JsonObject) -> list[tuple[str, str, str]]:
    assert answer["resourceType"] == "OperationOutcome"
    return [(i["severity"], i["code"], i.get("expression", [""])[0]) for i in answer["issue"]]


def test_a_valid_resource_has_no_issue_and_nothing_is_stored(client: Client) -> None:
    answer = client.post("Patient/$validate", json=patient(gender="male"))
    assert answer.status_code == 200
    assert answer.json() == NOTHING_WRONG
    assert client.get("Patient?_summary=count").json()["total"] == 0


def test_what_is_wrong_is_said_with_200(client: Client) -> None:
    answer = client.post("Patient/$validate", json=patient(gender="bad", foo=1))
    assert answer.status_code == 200
    assert answer.json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "code-invalid",
                "diagnostics": "`bad` is not in the value set"
                " http://hl7.org/fhir/ValueSet/administrative-gender: female, male, other, unknown",
                "expression": ["Patient.gender"],
            },
            {
                "severity": "error",
                "code": "structure",
                "diagnostics": "Unknown element `foo`",
                "expression": ["Patient.foo"],
            },
        ],
    }


def test_invariants_of_r4_are_evaluated(client: Client) -> None:
    answer = client.post("Patient/$validate", json=patient(contact=[{"gender": "male"}])).json()
    assert issues(answer) == [("error", "invariant", "Patient.contact[0]")]
    assert answer["issue"][0]["diagnostics"].startswith("pat-1: ")
    warned = client.post("Patient/$validate", json={"resourceType": "Patient"}).json()
    assert issues(warned) == [("warning", "invariant", "Patient")]
    assert warned["issue"][0]["diagnostics"].startswith("dom-6: ")


def test_a_profile_that_is_stored_is_checked_as_soon_as_it_is_stored(client: Client) -> None:
    asked = parameters(patient(name=[{"text": "a"}]), profile=URL)
    assert issues(client.post("Patient/$validate", json=asked).json()) == [("error", "not-found", "Patient")]
    assert client.put("StructureDefinition/named-patient", json=named_patient()).status_code == 201
    assert issues(client.post("Patient/$validate", json=asked).json()) == [
        ("error", "required", "Patient.name[0].family")
    ]
    client.put("StructureDefinition/named-patient", json=named_patient(min=0))
    assert client.post("Patient/$validate", json=asked).json() == NOTHING_WRONG
    client.delete("StructureDefinition/named-patient")
    assert issues(client.post("Patient/$validate", json=asked).json()) == [("error", "not-found", "Patient")]


def test_a_claimed_profile_is_checked_without_being_asked_for(client: Client) -> None:
    client.put("StructureDefinition/named-patient", json=named_patient())
    claiming = patient(meta={"profile": [URL]})
    assert issues(client.post("Patient/$validate", json=claiming).json()) == [
        ("error", "required", "Patient.name")
    ]
    unknown = patient(meta={"profile": ["http://profile.example/StructureDefinition/unknown"]})
    assert issues(client.post("Patient/$validate", json=unknown).json()) == [
        ("warning", "not-found", "Patient")
    ]


def test_an_instance_is_checked_as_it_is_stored(client: Client) -> None:
    client.put("StructureDefinition/named-patient", json=named_patient())
    client.put("Patient/p", json=patient(id="p"))
    assert client.get("Patient/p/$validate").json() == NOTHING_WRONG
    assert issues(client.get(f"Patient/p/$validate?profile={URL}").json()) == [
        ("error", "required", "Patient.name")
    ]
    assert client.get("Patient/unknown/$validate").status_code == 404


def test_modes(client: Client) -> None:
    client.put("Patient/p", json=patient(id="p"))
    assert client.post("Patient/$validate", json=parameters(patient(), mode="create")).json() == NOTHING_WRONG
    update = parameters(patient(id="q"), mode="update")
    assert client.post("Patient/p/$validate", json=update).json()["issue"] == [
        {
            "severity": "error",
            "code": "invalid",
            "diagnostics": "The id of an update is that of its URL, `p`, not `q`",
            "expression": ["Patient.id"],
        }
    ]
    assert client.get("Patient/p/$validate?mode=delete").json() == NOTHING_WRONG
    assert issues(client.get("Patient/q/$validate?mode=delete").json()) == [("error", "not-found", "")]
    assert client.get("Patient/p").status_code == 200
    assert_outcome(
        client.post("Patient/$validate", json=parameters(patient(), mode="undo")),
        400,
        "value",
        "The mode `undo` is not one of create, update, delete, profile",
        "Parameters.parameter[1].value",
    )
    assert (
        client.post("Patient/$validate", json=parameters(patient(id="q"), mode="update")).status_code == 400
    )
    assert client.post("Patient/$validate", json=parameters()).status_code == 400


def test_a_resource_of_another_type_is_an_issue(client: Client) -> None:
    answer = client.post("Patient/$validate", json={"resourceType": "Basic", "code": {"text": "a"}})
    assert answer.status_code == 200
    assert answer.json()["issue"] == [
        {
            "severity": "error",
            "code": "invalid",
            "diagnostics": "The resource is a Basic, and this is the $validate of Patient",
            "expression": ["resourceType"],
        }
    ]


def test_a_target_profile_is_checked_on_the_stored_resource(client: Client) -> None:
    client.put("StructureDefinition/named-patient", json=named_patient())
    profile = {
        "resourceType": "StructureDefinition",
        "id": "about-named",
        "url": ABOUT_NAMED,
        "name": "AboutNamed",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Basic",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Basic",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Basic", "path": "Basic"},
                {
                    "id": "Basic.subject",
                    "path": "Basic.subject",
                    "type": [{"code": "Reference", "targetProfile": [URL]}],
                },
            ]
        },
    }
    client.put("StructureDefinition/about-named", json=profile)
    client.put("Patient/good", json=patient(id="good", name=[{"family": "a"}]))
    client.put("Patient/bad", json=patient(id="bad"))
    found = {}
    for name in ("Patient/good", "Patient/bad", "Patient/unknown", "Device/a"):
        basic = {
            "resourceType": "Basic",
            "text": NARRATIVE,
            "code": {"text": "a"},
            "subject": {"reference": name},
        }
        asked = parameters(basic, profile=ABOUT_NAMED)
        found[name] = issues(client.post("Basic/$validate", json=asked).json())
    nothing = [("information", "informational", "")]
    refused = [("error", "structure", "Basic.subject")]
    assert found == {
        "Patient/good": nothing,
        "Patient/bad": refused,
        "Patient/unknown": nothing,
        "Device/a": refused,
    }


def test_level_profile_refuses_a_write_for_errors_and_not_for_warnings(database_url: str) -> None:
    settings = Settings(validation=ValidationLevel.PROFILE)
    with wiring.build(settings, database_url=database_url) as exchange:
        client = Client(app.build(exchange))
        client.put("StructureDefinition/named-patient", json=named_patient())
        # dom-6 is a warning
        assert client.post("Patient", json={"resourceType": "Patient"}).status_code == 201
        refused = client.post("Patient", json=patient(meta={"profile": [URL]}))
        assert_outcome(
            refused,
            422,
            "required",
            f"`Patient.name` must occur at least once, found none ({URL})",
            "Patient.name",
        )
        refused = client.post("Patient", json=patient(contact=[{"gender": "male"}]))
        assert refused.status_code == 422
        assert issues(refused.json()) == [("error", "invariant", "Patient.contact[0]")]
        assert client.get("Patient?_summary=count").json()["total"] == 1


def test_the_international_patient_summary_is_loaded_and_its_examples_are_valid(
    client: Client, conformance_data: Path
) -> None:
    folder = conformance_data / "fhir" / "ips"
    for path in sorted(folder.glob("StructureDefinition-*.json")):
        definition = loads(path.read_bytes())
        put = client.put(f"StructureDefinition/{definition['id']}", content=path.read_bytes())
        assert put.status_code == 201, put.text
    checked = 0
    for path in sorted((folder / "example").glob("*.json")):
        resource = loads(path.read_bytes())
        answer = client.post(f"{resource['resourceType']}/$validate", content=path.read_bytes()).json()
        errors = [issue for issue in answer["issue"] if issue["severity"] in ("error", "fatal")]
        assert errors == [], path.name
        checked += 1
    assert checked >= 40


@pytest.mark.parametrize(
    "profile", ["http://profile.example/StructureDefinition/named-patient|2.0", "a b", ""]
)
def test_a_canonical_that_names_nothing_is_an_issue_or_an_error(client: Client, profile: str) -> None:
    client.put("StructureDefinition/named-patient", json=named_patient())
    answer = client.post("Patient/$validate", json=parameters(patient(), profile=profile))
    assert answer.status_code in (200, 400, 422)
    assert any(issue["severity"] == "error" for issue in answer.json()["issue"])
