"""A Consent that names a CareTeam follows who is in it."""

from pathlib import Path

from hie.core.access import SYSTEM
from hie.core.fhir.json import JsonObject, dumps
from hie.worker import deliver_all
from tests.hie.policy.city import CLINICIAN, put
from tests.hie.policy.conftest import As
from tests.hie.policy.test_labels import exchange
from tests.hie.policy.test_roles import consent


def test_who_joins_a_care_team_that_a_consent_denies_loses_the_record(
    acting: As, database_url: str, tmp_path: Path
) -> None:
    team: JsonObject = {"resourceType": "CareTeam", "id": "team", "status": "active"}
    role = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]
    }
    actor = {"role": role, "reference": {"reference": "CareTeam/team"}}
    denial = {**consent({"type": "deny", "actor": [actor]}), "id": "no"}
    assert acting(SYSTEM).post("/fhir", dumps(put(team, denial))).status_code == 200
    assert acting(CLINICIAN).get("/fhir/Observation/o-x").status_code == 200
    joined = {**team, "participant": [{"member": {"reference": "Practitioner/d-x"}}]}
    assert acting(SYSTEM).post("/fhir", dumps(put(joined))).status_code == 200
    with exchange(database_url, tmp_path / "worker") as made:
        deliver_all(made)
    assert acting(CLINICIAN).get("/fhir/Condition/c-x").status_code == 404
