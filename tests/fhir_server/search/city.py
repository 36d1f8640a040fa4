"""A small city's resources for the tables of search tests."""

from hie.core.fhir.json import JsonObject, loads

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CARD = "http://hie.example/sid/card"

PATIENTS: list[JsonObject] = [
    {
        "resourceType": "Patient",
        "id": "zhang",
        "active": True,
        "identifier": [
            {"system": CARD, "value": "A1", "type": {"coding": [{"system": "http://v2", "code": "MR"}]}},
            {"value": "no-system"},
        ],
        "name": [{"family": "张", "given": ["小明"]}],
        "gender": "male",
        "birthDate": "1980-05-17",
        "telecom": [{"system": "phone", "value": "0371-6666 0000"}],
        "address": [{"city": "郑州市", "line": ["文化路1号"]}],
        "managingOrganization": {"reference": "Organization/h1"},
        "generalPractitioner": [{"identifier": {"system": "http://staff", "value": "D7"}, "display": "x"}],
        "deceasedBoolean": False,
    },
    {
        "resourceType": "Patient",
        "id": "muller",
        "meta": {
            "profile": ["http://hie.example/StructureDefinition/p"],
            "tag": [{"system": "http://t", "code": "vip"}],
            "source": "urn:source:1",
        },
        "identifier": [{"system": "http://other", "value": "A1"}],
        "name": [
            {"family": "Müller", "given": ["Zoë", "Anna Maria"], "text": "Frau Zoë Müller"},
        ],
        "gender": "female",
        "birthDate": "1980-05",
        "telecom": [{"system": "email", "value": "Z@example.org"}],
        "managingOrganization": {"reference": "http://hie.example/fhir/Organization/h1"},
        "deceasedDateTime": "2020-01-01",
    },
    {
        "resourceType": "Patient",
        "id": "ouyang",
        "name": [{"text": "欧阳娜娜"}],
        "birthDate": "1980",
        "maritalStatus": {"text": "married"},
        "managingOrganization": {"reference": "http://elsewhere.example/fhir/Organization/h1"},
    },
]
OBSERVATIONS: list[JsonObject] = [
    {
        "resourceType": "Observation",
        "id": "glucose",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2345-7"}, {"system": "http://local", "code": "GLU"}]},
        "subject": {"reference": "Patient/zhang"},
        "effectiveDateTime": "2024-03-10T08:30:00+08:00",
        "valueQuantity": loads(
            '{"value": 5.40, "unit": "mmol/L", "system": "' + UCUM + '", "code": "mmol/L"}'
        ),
    },
    {
        "resourceType": "Observation",
        "id": "weight",
        "status": "preliminary",
        "code": {"coding": [{"system": LOINC, "code": "29463-7"}]},
        "subject": {"reference": "Patient/zhang/_history/1"},
        "effectivePeriod": {"start": "2024-03-01", "end": "2024-03-31"},
        "valueQuantity": {"value": 100, "unit": "kg"},
    },
    {
        "resourceType": "Observation",
        "id": "note",
        "status": "final",
        "code": {"text": "free text"},
        "subject": {"reference": "Patient/muller"},
        "effectivePeriod": {"start": "2024-04-01"},
        "valueString": "Ein Längerer Text",
    },
    {
        "resourceType": "Observation",
        "id": "curve",
        "status": "final",
        "code": {"coding": [{"code": "no-system"}]},
        "subject": {"display": "somebody"},
        "effectiveTiming": {"event": ["2024-05-01", "2024-05-03"]},
        "valueSampledData": {
            "origin": {"value": 10, "unit": "mV"},
            "period": 1,
            "factor": 2,
            "dimensions": 1,
            "data": "-1 E 5 U",
        },
    },
]
OTHERS: list[JsonObject] = [
    {"resourceType": "Organization", "id": "h1", "name": "第一人民医院"},
    {
        "resourceType": "RiskAssessment",
        "id": "low",
        "status": "final",
        "subject": {"reference": "Patient/zhang"},
        "prediction": [{"probabilityDecimal": loads("0.0500")}],
    },
    {
        "resourceType": "RiskAssessment",
        "id": "range",
        "status": "final",
        "subject": {"reference": "Patient/zhang"},
        "prediction": [{"probabilityRange": {"low": {"value": 10}, "high": {"value": 20}}}],
    },
    {
        "resourceType": "ValueSet",
        "id": "labs",
        "status": "active",
        "url": "http://hie.example/fhir/ValueSet/labs",
        "description": "a " + "b" * 250 + " needle c",
    },
    {
        "resourceType": "ValueSet",
        "id": "other",
        "status": "active",
        "url": "http://hie.example/fhir/ValueSet/labs2",
        "description": "100%_of (it)",
    },
    {
        "resourceType": "StructureDefinition",
        "id": "sd",
        "url": "urn:oid:1.2.3",
        "name": "x",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient|4.0.1",
    },
]
