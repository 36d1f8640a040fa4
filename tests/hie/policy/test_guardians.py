"""Guardians act for a ward until it is of age; of a deceased one they read.

民法典 (Civil Code) art. 17-20; 个人信息保护法 (Personal Information Protection Law) art. 31, 49.
"""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from hie.core.access import SYSTEM, Role
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject, dumps
from hie.identity.tables import Account, Dependant
from tests.hie.policy.city import person, put
from tests.hie.policy.conftest import As
from tests.hie.policy.test_roles import consent, observation

ACCOUNT = UUID(int=7)
GUARDIAN = person(Role.GUARDIAN, Role.CITIZEN, id=str(ACCOUNT), patient="w")
YEAR = datetime.now(UTC).year


@pytest.mark.parametrize(
    ("elements", "read", "written", "consented"),
    [
        ({"birthDate": f"{YEAR - 10}-01-01"}, 200, 201, 201),
        ({"birthDate": f"{YEAR - 16}-01-01"}, 200, 201, 403),
        ({"birthDate": f"{YEAR - 19}-01-01"}, 404, 403, 403),
        ({}, 404, 403, 403),
        ({"birthDate": f"{YEAR - 10}-01-01", "deceasedBoolean": True}, 200, 403, 403),
    ],
    ids=["ten", "sixteen", "nineteen", "age unknown", "deceased"],
)
def test_a_guardian_acts_for_a_ward_by_its_age(
    acting: As, database: Database, elements: JsonObject, read: int, written: int, consented: int
) -> None:
    ward = {"resourceType": "Patient", "id": "w", **elements}
    assert acting(SYSTEM).post("/fhir", dumps(put(ward))).status_code == 200
    with database.transaction() as transaction:
        transaction.session.add(Account(id=ACCOUNT, name="guardian", created_at=datetime.now(UTC)))
        transaction.session.flush()
        transaction.session.add(Dependant(account_id=ACCOUNT, patient_id="w"))
    client = acting(GUARDIAN)
    assert client.get("/fhir/Patient/w").status_code == read
    assert client.post("/fhir/Observation", dumps(observation("w"))).status_code == written
    given = {**consent({"type": "permit"}), "patient": {"reference": "Patient/w"}}
    assert client.put("/fhir/Consent/w", dumps(given)).status_code == consented
    assert client.get("/fhir/Patient/y").status_code == 404
