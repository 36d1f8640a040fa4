"""Rendered events against the rules of IHE BALP, written down from its profiles.

https://profiles.ihe.net/ITI/BALP/: Read, Create, Update, Delete, Query and their patient-specific twins
(the sources of the profiles: https://github.com/IHE/ITI.BasicAudit, input/fsh).
"""

import orjson
import pytest

from hie.core.access import Requester, Role
from hie.core.audit.event import render
from hie.core.audit.record import Action, Record, encode
from hie.core.fhir.json import JsonObject
from tests.hie.audit.conftest import CLINICIAN, NOW

DCM = "http://dicom.nema.org/resources/ontology/DCM"
CLIENT_AND_SERVER = {
    "Read": ((DCM, "110152"), (DCM, "110153")),
    "Create": ((DCM, "110153"), (DCM, "110152")),
    "Update": ((DCM, "110153"), (DCM, "110152")),
    "Query": ((DCM, "110153"), (DCM, "110152")),
    "Delete": (
        (DCM, "110150"),
        ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian"),
    ),
}
ACTIONS = {"Read": "R", "Create": "C", "Update": "U", "Delete": "D", "Query": "E"}
CASES: list[tuple[str, str, Action]] = [
    ("Read", "read", "R"),
    ("Read", "vread", "R"),
    ("Create", "create", "C"),
    ("Update", "update", "U"),
    ("Update", "patch", "U"),
    ("Delete", "delete", "D"),
    ("Query", "search-type", "E"),
]


def event(interaction: str, action: Action, requester: Requester, *, patient: str) -> JsonObject:
    record = Record(
        "rest",
        interaction,
        action,
        requester,
        NOW,
        target="Observation" if interaction == "search-type" else "Observation/o1",
        query="status=final" if interaction == "search-type" else "",
        patients=(patient,) if patient else (),
        address="10.0.0.7",
        request_id="request-1",
    )
    return render(orjson.loads(encode(record, "web-1")))


def coded(agent: JsonObject) -> tuple[str, str]:
    coding = agent["type"]["coding"][0]
    return coding["system"], coding["code"]


@pytest.mark.parametrize("patient", ["p1", ""])
@pytest.mark.parametrize("requester", [CLINICIAN, Requester("client", "lab"), Requester("anonymous", "")])
@pytest.mark.parametrize(("profile", "interaction", "action"), CASES)
def test_event_of_an_interaction_follows_its_profile(
    profile: str, interaction: str, action: Action, requester: Requester, patient: str
) -> None:
    made = event(interaction, action, requester, patient=patient)
    name = f"{'Patient' if patient else ''}{profile}"
    assert made["meta"]["profile"] == [
        f"https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{name}"
    ]
    assert (made["type"]["code"], made["outcome"], made["action"]) == ("rest", "0", ACTIONS[profile])
    assert made["subtype"] == [{"system": "http://hl7.org/fhir/restful-interaction", "code": interaction}]
    client, server = (
        [agent for agent in made["agent"] if coded(agent) == role] for role in CLIENT_AND_SERVER[profile]
    )
    for agent in (*client, *server):
        assert agent["who"]
        assert agent["network"]["address"]
    assert (len(client), len(server)) == (1, 1)
    assert sum(agent["requestor"] for agent in made["agent"]) == 1
    people = [agent for agent in made["agent"] if agent not in (*client, *server)]
    assert len(people) == (requester.kind == "person")
    for person in people:
        author = "IRCP" if profile in ("Read", "Query") else "AUT"
        assert coded(person) == ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", author)
        assert "network" not in person
        assert person["role"][0]["coding"][0]["code"] == Role.CLINICIAN
    kinds = [(entity["type"]["code"], entity.get("role", {}).get("code")) for entity in made["entity"]]
    assert kinds.count(("1", "1")) == (1 if patient else 0)
    assert kinds.count(("2", "24" if profile == "Query" else "4")) == 1
    assert kinds.count(("XrequestId", None)) == 1
    assert len(kinds) == (3 if patient else 2)
    for entity in made["entity"]:
        if profile == "Query" and entity["type"]["code"] == "2":
            assert "query" in entity
            assert not {"what", "detail", "lifecycle"} & set(entity)
        else:
            assert entity["what"]


def test_refused_interaction_claims_no_profile() -> None:
    record = Record("rest", "read", "R", CLINICIAN, NOW, target="Patient/1", status=403)
    made = render(orjson.loads(encode(record, "web-1")))
    assert made["outcome"] == "4"
    assert "profile" not in made["meta"]
