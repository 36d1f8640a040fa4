"""Who sees and does what with whose record, through the API."""

import pytest

from hie.core.access import SYSTEM, Requester
from hie.core.fhir.json import JsonObject, dumps
from tests.fhir_server.access.city import CANARY
from tests.fhir_server.bad_input.api import Client
from tests.hie.policy.city import (
    ADMINISTRATOR,
    ANALYST,
    CITIZEN,
    CLINICIAN,
    COLLEAGUE,
    DESK,
    HIV,
    HOSPITAL,
    OPERATOR,
    PHARMACIST,
    STRANGER,
    put,
)
from tests.hie.policy.conftest import As


def ids(client: Client, path: str) -> set[str]:
    answer = client.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    assert CANARY not in answer.text
    entries = answer.json().get("entry", ())
    return {each["resource"]["id"] for each in entries if each["search"]["mode"] == "match"}


@pytest.mark.parametrize(
    ("who", "observations", "patients"),
    [
        (CITIZEN, {"o-x", "o-both", "o-hiv"}, {"x"}),
        (CLINICIAN, {"o-x", "o-both", "o-hiv"}, {"x"}),
        (COLLEAGUE, {"o-x", "o-both"}, {"x"}),
        (STRANGER, set(), set()),
        (PHARMACIST, set(), {"x"}),
        (DESK, set(), {"x"}),
        (OPERATOR, set(), set()),
        (ANALYST, set(), set()),
        (ADMINISTRATOR, set(), set()),
        (HOSPITAL, {"o-x", "o-both", "o-hiv"}, {"x"}),
    ],
    ids=[
        "citizen",
        "doctor",
        "colleague",
        "stranger",
        "pharmacist",
        "desk",
        "operator",
        "analyst",
        "administrator",
        "hospital",
    ],
)
def test_each_role_finds_the_records_that_it_stands_to(
    looking: As, who: Requester, observations: set[str], patients: set[str]
) -> None:
    client = looking(who)
    assert ids(client, "Observation") == observations
    assert ids(client, "Observation?patient=Patient/x") == observations
    assert ids(client, "Patient") == patients
    for name in ("o-x", "o-hiv", "o-y"):
        status = client.get(f"/fhir/Observation/{name}").status_code
        assert status == (200 if name in observations else 404), name
    assert ids(client, "Organization") >= {"h-x", "h-y"}


def observation(patient: str, **elements: object) -> JsonObject:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{patient}"},
        **elements,
    }


@pytest.mark.parametrize(
    ("who", "own", "other"),
    [
        (CITIZEN, 201, 403),
        (CLINICIAN, 201, 403),
        (COLLEAGUE, 403, 403),
        (STRANGER, 403, 403),
        (PHARMACIST, 403, 403),
        (OPERATOR, 403, 403),
        (HOSPITAL, 201, 201),
    ],
    ids=["citizen", "doctor", "colleague", "stranger", "pharmacist", "operator", "hospital"],
)
def test_each_role_writes_to_the_records_that_it_stands_to(
    acting: As, who: Requester, own: int, other: int
) -> None:
    client = acting(who)
    assert client.post("/fhir/Observation", dumps(observation("x"))).status_code == own
    assert client.post("/fhir/Observation", dumps(observation("y"))).status_code == other


def test_a_clinician_cannot_make_a_relation_by_writing_an_encounter(acting: As) -> None:
    client = acting(STRANGER)
    encounter = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/y"},
        "participant": [{"individual": {"reference": "Practitioner/d-z"}}],
    }
    assert client.post("/fhir/Encounter", dumps(encounter)).status_code == 403


def test_a_record_cannot_be_moved_to_another_patient(acting: As) -> None:
    client = acting(CLINICIAN)
    moved = observation("y", id="o-x")
    assert client.put("/fhir/Observation/o-x", dumps(moved)).status_code == 403
    taken = observation("x", id="o-y")
    assert client.put("/fhir/Observation/o-y", dumps(taken)).status_code == 403


def test_a_label_of_a_sensitive_class_is_not_taken_away_by_who_writes(acting: As) -> None:
    client = acting(CLINICIAN)
    plain = observation("x", id="o-hiv")
    answer = client.put("/fhir/Observation/o-hiv", dumps(plain))
    assert (answer.status_code, answer.json()["meta"]["security"]) == (200, [HIV])
    assert ids(acting(COLLEAGUE), "Observation") == {"o-x", "o-both"}


def test_scopes_narrow_what_the_role_may(looking: As) -> None:
    def scoped(*scopes: str) -> Client:
        return looking(Requester("person", "a-1", "app", CLINICIAN.roles, scopes, "x", "d-x", "h-x"))

    assert ids(scoped("user/Observation.rs?_id=o-x"), "Observation") == {"o-x"}
    assert ids(scoped("patient/Observation.rs"), "Observation") == {"o-x", "o-both", "o-hiv"}
    assert ids(scoped("user/Condition.rs"), "Observation") == set()
    assert ids(scoped("user/*.read"), "Condition") == {"c-x"}
    # r reads, s searches (SMART App Launch 2, "Scopes for requesting FHIR Resources").
    reading, searching = scoped("user/Observation.r"), scoped("user/Observation.s")
    assert (ids(reading, "Observation"), ids(searching, "Observation")) == (set(), {"o-x", "o-both", "o-hiv"})
    for path in ("Observation/o-x", "Observation/o-x/_history", "Observation/o-x/_history/1"):
        statuses = [client.get(f"/fhir/{path}").status_code for client in (reading, searching)]
        assert statuses == [200, 404], path
    of_type = [client.get("/fhir/Observation/_history").json() for client in (reading, searching)]
    assert ["entry" in each for each in of_type] == [False, True]
    # A person's token cannot act as a system.
    assert ids(scoped("system/*.cruds"), "Observation") == set()
    written = scoped("user/*.rs").post("/fhir/Observation", dumps(observation("x")))
    assert written.status_code == 403


def test_a_search_under_rules_says_that_more_may_exist_whether_or_not_it_does(looking: As) -> None:
    outcomes = set()
    for path in ("Observation?_id=o-y", "Observation?_id=never", "Observation?_id=o-x"):
        entries = looking(CLINICIAN).get(f"/fhir/{path}").json()["entry"]
        (outcome,) = [each["resource"] for each in entries if each["search"]["mode"] == "outcome"]
        outcomes.add(dumps(outcome["issue"]))
        assert [(each["severity"], each["code"]) for each in outcome["issue"]] == [
            ("information", "suppressed")
        ]
    assert len(outcomes) == 1
    directory = looking(CLINICIAN).get("/fhir/Organization").json()
    assert {each["search"]["mode"] for each in directory["entry"]} == {"match"}


def consent(provision: JsonObject, status: str = "active") -> JsonObject:
    return {
        "resourceType": "Consent",
        "id": "w",
        "status": status,
        "scope": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/x"},
        "policyRule": {"text": "the exchange's"},
        "provision": provision,
    }


def against(reference: str) -> list[JsonObject]:
    return [{"role": {"text": "recipient"}, "reference": {"reference": reference}}]


def test_a_consent_withholds_at_once_and_its_withdrawal_gives_back_at_once(acting: As) -> None:
    citizen, doctor, hospital = acting(CITIZEN), acting(CLINICIAN), acting(HOSPITAL)
    assert ids(doctor, "Observation") == {"o-x", "o-both", "o-hiv"}
    deny = consent({"type": "deny", "actor": against("Organization/h-x")})
    assert citizen.put("/fhir/Consent/w", dumps(deny)).status_code == 201
    for client in (doctor, hospital):
        assert ids(client, "Observation") == set()
        assert client.get("/fhir/Patient/x").status_code == 404
    assert doctor.post("/fhir/Observation", dumps(observation("x"))).status_code == 403
    assert ids(citizen, "Observation") == {"o-x", "o-both", "o-hiv"}
    withdrawn = consent({"type": "deny", "actor": against("Organization/h-x")}, "inactive")
    assert citizen.put("/fhir/Consent/w", dumps(withdrawn)).status_code == 200
    assert ids(doctor, "Observation") == {"o-x", "o-both", "o-hiv"}


def test_an_exception_of_a_consent_is_for_whom_it_names(acting: As) -> None:
    citizen = acting(CITIZEN)
    deny = consent(
        {
            "type": "deny",
            "actor": against("Organization/h-x"),
            "provision": [
                {
                    "type": "permit",
                    "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}],
                }
            ],
        }
    )
    assert citizen.put("/fhir/Consent/w", dumps(deny)).status_code == 201
    assert ids(acting(CLINICIAN), "Observation") == set()
    assert ids(acting(CLINICIAN), "Condition") == {"c-x"}


def test_a_consent_withholds_a_sensitive_class_even_from_who_treats(acting: As) -> None:
    citizen = acting(CITIZEN)
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "STD"}
    assert (
        citizen.put("/fhir/Consent/w", dumps(consent({"type": "deny", "securityLabel": [label]}))).status_code
        == 201
    )
    assert ids(acting(CLINICIAN), "Observation") == {"o-x", "o-both"}
    assert ids(citizen, "Observation") == {"o-x", "o-both", "o-hiv"}


def test_nobody_gives_consent_for_another(acting: As) -> None:
    foreign = {**consent({"type": "permit"}), "patient": {"reference": "Patient/y"}}
    assert acting(CITIZEN).put("/fhir/Consent/w", dumps(foreign)).status_code == 403
    assert acting(CLINICIAN).put("/fhir/Consent/w", dumps(consent({"type": "permit"}))).status_code == 403


def test_a_relation_ends_with_its_time(acting: As) -> None:
    old = {
        "resourceType": "Encounter",
        "id": "e-x",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/x"},
        "period": {"start": "2020-01-01", "end": "2020-01-02"},
        "participant": [{"individual": {"reference": "Practitioner/d-x"}}],
        "serviceProvider": {"reference": "Organization/h-x"},
    }
    assert acting(SYSTEM).post("/fhir", dumps(put(old))).status_code == 200
    assert ids(acting(CLINICIAN), "Observation") == set()
