"""Two patients treated by two doctors of two hospitals; all of the second one's text is a canary."""

from collections.abc import Mapping
from typing import Any

from hie.core.access import Requester, Role
from hie.core.fhir.json import JsonObject
from tests.fhir_server.access.city import BETWEEN, record

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
HIV = {"system": ACT_CODE, "code": "HIV"}
TODAY = "2026-11-01"


def put(*resources: JsonObject) -> JsonObject:
    """Return the transaction that stores `resources`."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in resources
        ],
    }


def encounter(name: str, patient: str, **elements: Any) -> JsonObject:
    """Return a recent Encounter of `patient`."""
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": TODAY},
        **elements,
    }


def with_doctor(doctor: str) -> Mapping[str, Any]:
    """Return the elements of an Encounter that say who treats."""
    return {"participant": [{"individual": {"reference": f"Practitioner/{doctor}"}}]}


def at(hospital: str) -> Mapping[str, Any]:
    """Return the elements of an Encounter that say where."""
    return {"serviceProvider": {"reference": f"Organization/{hospital}"}}


def city() -> JsonObject:
    """Return the Bundle that stores the city."""
    treated = []
    for name, born in (("x", "1980-05-01"), ("y", "2015-05-01")):
        for each in record(name):
            if each["resourceType"] == "Patient":
                each["birthDate"] = born
                del each["managingOrganization"]
            if each["resourceType"] == "Encounter":
                each |= {**with_doctor(f"d-{name}"), **at(f"h-{name}"), "period": {"start": TODAY}}
            treated.append(each)
    people = [{"resourceType": "Practitioner", "id": f"d-{name}"} for name in "xyz"]
    places = [
        {"resourceType": "Organization", "id": f"h-{name}", "name": f"Hospital {name}"} for name in "xyz"
    ]
    sensitive = {
        "resourceType": "Observation",
        "id": "o-hiv",
        "meta": {"security": [HIV]},
        "status": "final",
        "code": {"text": "HIV antibody"},
        "subject": {"reference": "Patient/x"},
    }
    return put(*treated, *people, *places, *BETWEEN, sensitive)


def person(*roles: Role, **elements: Any) -> Requester:
    """Return somebody with `roles`."""
    return Requester("person", elements.pop("id", "a-1"), roles=frozenset(roles), **elements)


CITIZEN = person(Role.CITIZEN, patient="x")
CLINICIAN = person(Role.CLINICIAN, practitioner="d-x", organization="h-x")
COLLEAGUE = person(Role.CLINICIAN, practitioner="d-z", organization="h-x")
STRANGER = person(Role.CLINICIAN, practitioner="d-z", organization="h-z")
PHARMACIST = person(Role.PHARMACIST, organization="h-x")
DESK = person(Role.REFERRAL_DESK, organization="h-x")
OPERATOR = person(Role.OPERATOR, organization="h-x")
ANALYST = person(Role.ANALYST, organization="h-x")
ADMINISTRATOR = person(Role.SYSTEM_ADMINISTRATOR)
HOSPITAL = Requester("client", "his-x", organization="h-x", scopes=("system/*.cruds",))
