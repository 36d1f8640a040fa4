"""A patient whose name, numbers and address stand wherever R4 has a place for them; all invented."""

from base64 import b64encode
from typing import Final

from hie.core.fhir.json import JsonObject
from tests.fhir_server.access.city import BETWEEN, record

NAME: Final = "欧阳试验"
GIVEN: Final = "试验"
RESIDENT_ID: Final = "11010519491231002X"
RESIDENT_IDS: Final = "urn:oid:2.16.156.10011.1.3"
PHONE: Final = "13800001234"
MAIL: Final = "ouyang.shiyan@mail.example"
STREET: Final = "虚构路12号楼"
PHOTO: Final = b64encode(NAME.encode()).decode()
SECRETS: Final = (NAME, GIVEN, RESIDENT_ID, PHONE, MAIL, STREET, PHOTO)

_DIV: Final = f'<div xmlns="http://www.w3.org/1999/xhtml">{NAME} {RESIDENT_ID} {STREET}</div>'
_TEXT: Final = f"called on {PHONE}, card {RESIDENT_ID}"


def patient(name: str) -> JsonObject:
    """Return the Patient, with everything in it that is masked for somebody."""
    human = {"use": "official", "text": NAME, "family": "欧阳", "given": [GIVEN], "_family": {"id": "f"}}
    return {
        "resourceType": "Patient",
        "id": name,
        "text": {"status": "generated", "div": _DIV},
        "contained": [
            {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "#"}, "name": [human]}
        ],
        "extension": [
            {"url": "http://e.example/of-name", "valueHumanName": human},
            {"url": "http://e.example/of-text", "valueString": _TEXT},
        ],
        "identifier": [
            {"system": RESIDENT_IDS, "value": RESIDENT_ID},
            {"system": "http://hospital.example/mrn", "value": f"p-{name}", "assigner": {"display": "H"}},
        ],
        "active": True,
        "name": [human],
        "telecom": [{"system": "phone", "value": PHONE}, {"system": "email", "value": MAIL}],
        "gender": "female",
        "birthDate": "1949-12-31",
        "address": [{"text": f"北京市{STREET}", "line": [STREET], "city": "北京市", "district": "朝阳区"}],
        "photo": [{"contentType": "text/plain", "data": PHOTO}],
        "contact": [{"name": human, "telecom": [{"system": "phone", "value": PHONE}]}],
    }


def secret_record(name: str) -> list[JsonObject]:
    """Return the patient's record."""
    found: list[JsonObject] = []
    for each in record(name):
        if each["resourceType"] == "Patient":
            found.append(patient(name))
            continue
        each["text"] = {"status": "generated", "div": _DIV}
        each["subject"] = {
            "reference": f"Patient/{name}",
            "display": NAME,
            "identifier": {"system": RESIDENT_IDS, "value": RESIDENT_ID},
        }
        if each["resourceType"] != "Composition":
            each["extension"] = [{"url": "http://e.example/note", "valueString": _TEXT}]
        if each["resourceType"] == "Observation":
            each["note"] = [{"authorString": NAME, "text": _TEXT}]
            each["valueString"] = f"of {name}: {_TEXT}"
        found.append(each)
    return found


def stored() -> JsonObject:
    """Return the transaction that stores two such records and what lies between them."""
    everything = [
        *secret_record("x"),
        *secret_record("y"),
        *BETWEEN,
        {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": PHOTO},
    ]
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in everything
        ],
    }
