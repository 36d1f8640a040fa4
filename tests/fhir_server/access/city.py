"""Two patients, their records and what lies between them; all of the second one's text is a canary."""

from hie.core.fhir.json import JsonObject

CANARY = "CANARY-7f3a"
SYSTEM = "http://hospital.example/mrn"
LOINC = "http://loinc.org"


def _text(name: str) -> str:
    return f"{CANARY} {name}" if name == "y" else f"of {name}"


def _identifier(name: str, kind: str) -> list[JsonObject]:
    return [{"system": SYSTEM, "value": f"{kind}-{name}", "assigner": {"display": _text(name)}}]


def record(name: str) -> list[JsonObject]:
    """Return the resources of patient `name`."""
    subject = {"reference": f"Patient/{name}"}
    code = {"coding": [{"system": LOINC, "code": "718-7", "display": _text(name)}]}
    return [
        {
            "resourceType": "Patient",
            "id": name,
            "identifier": _identifier(name, "p"),
            "name": [{"family": _text(name)}],
            "gender": "male",
            "managingOrganization": {"reference": "Organization/o"},
        },
        {
            "resourceType": "Encounter",
            "id": f"e-{name}",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": subject,
            "reasonCode": [{"text": _text(name)}],
        },
        {
            "resourceType": "Observation",
            "id": f"o-{name}",
            "identifier": _identifier(name, "o"),
            "status": "final",
            "code": code,
            "subject": subject,
            "encounter": {"reference": f"Encounter/e-{name}"},
            "effectiveDateTime": "2024-03-01",
            "valueString": _text(name),
        },
        {
            "resourceType": "Condition",
            "id": f"c-{name}",
            "subject": subject,
            "encounter": {"reference": f"Encounter/e-{name}"},
            "code": {"text": _text(name)},
        },
        {
            "resourceType": "Composition",
            "id": f"k-{name}",
            "status": "final",
            "type": {"text": "note"},
            "subject": subject,
            "date": "2024-03-01",
            "author": [{"reference": "Organization/o"}],
            "title": _text(name),
            "section": [{"entry": [{"reference": f"Observation/o-{name}"}]}],
        },
    ]


# What belongs to the first patient and refers to the second one's resources, and the reverse.
BETWEEN: list[JsonObject] = [
    {
        "resourceType": "Observation",
        "id": "o-both",
        "status": "final",
        "code": {"text": "panel"},
        "subject": {"reference": "Patient/x"},
        "encounter": {"reference": "Encounter/e-y"},
        "hasMember": [{"reference": "Observation/o-x"}, {"reference": "Observation/o-y"}],
    },
    {
        "resourceType": "Observation",
        "id": "o-back",
        "status": "final",
        "code": {"text": f"{CANARY} panel"},
        "subject": {"reference": "Patient/y"},
        "hasMember": [{"reference": "Observation/o-x"}],
    },
    {
        "resourceType": "List",
        "id": "l",
        "status": "current",
        "mode": "working",
        "subject": {"reference": "Patient/x"},
        "entry": [{"item": {"reference": f"Observation/o-{name}"}} for name in "xy"],
    },
    {
        "resourceType": "Group",
        "id": "g",
        "type": "person",
        "actual": True,
        "member": [{"entity": {"reference": f"Patient/{name}"}} for name in "xy"],
    },
    {"resourceType": "Organization", "id": "o", "name": "Example Hospital"},
]


def transaction() -> JsonObject:
    """Return the Bundle that stores it all."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in [*record("x"), *record("y"), *BETWEEN]
        ],
    }
