"""Resources as hospitals and insurers write them, about as large as Synthea's: what benchmarks are fed with.

Every one differs from the last; names and numbers belong to nobody. What they refer to need not be stored.
Each function takes elements that stand in place of its own, None to leave one out::

    observation(random, id="o1", subject={"reference": "Patient/p1"}, issued=None)
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from hie.core.fhir.json import Json, JsonObject

SID: Final = "http://hie.example/sid/bench"
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
TERMS: Final = "http://terminology.hl7.org/CodeSystem"
_YUAN: Final = "CNY"


def patient(random: Random, **elements: Json) -> JsonObject:
    """Return a Patient with card, name, telephone and address."""
    return _with(
        elements,
        {
            "resourceType": "Patient",
            "identifier": [identifier(random)],
            "active": True,
            "name": [{"use": "official", "text": "示例一", "family": "示", "given": ["例一"]}],
            "telecom": [{"system": "phone", "value": f"154{random.randrange(10**8):08}", "use": "mobile"}],
            "gender": random.choice(["male", "female"]),
            "birthDate": _day(random).replace("20", "19", 1),
            "address": [
                {
                    "use": "home",
                    "text": "示例市示例区示例路1号",
                    "line": ["示例路1号"],
                    "city": "示例市",
                    "postalCode": "450000",
                    "country": "CN",
                }
            ],
            "maritalStatus": concept(f"{TERMS}/v3-MaritalStatus", "M", "已婚"),
            "managingOrganization": {"reference": "Organization/bench"},
        },
    )


def location(random: Random, **elements: Json) -> JsonObject:
    """Return a ward as a Location."""
    return _with(
        elements,
        {
            "resourceType": "Location",
            "identifier": [identifier(random)],
            "status": "active",
            "name": f"第{random.randrange(1, 90)}病区",
            "mode": "instance",
            "physicalType": concept(f"{TERMS}/location-physical-type", "wa", "Ward"),
            "position": {
                "longitude": 113.62 + random.random() / 10,
                "latitude": 34.75 + random.random() / 10,
            },
            "managingOrganization": {"reference": "Organization/bench"},
        },
    )


def organization(random: Random, **elements: Json) -> JsonObject:
    """Return a department as an Organization."""
    return _with(
        elements,
        {
            "resourceType": "Organization",
            "identifier": [identifier(random)],
            "active": True,
            "type": [concept(f"{TERMS}/organization-type", "dept", "科室")],
            "name": f"示例医院第{random.randrange(100)}科",
            "telecom": [{"system": "phone", "value": "0371-00000000"}],
            "partOf": {"reference": "Organization/bench"},
        },
    )


def practitioner(random: Random, **elements: Json) -> JsonObject:
    """Return a doctor as a Practitioner."""
    return _with(
        elements,
        {
            "resourceType": "Practitioner",
            "identifier": [identifier(random)],
            "active": True,
            "name": [{"text": "示例医生", "family": "示", "given": ["例"], "prefix": ["Dr."]}],
            "gender": "female",
            "qualification": [{"code": concept(f"{TERMS}/v2-0360/2.7", "MD", "Doctor of Medicine")}],
        },
    )


def encounter(random: Random, **elements: Json) -> JsonObject:
    """Return an outpatient visit as an Encounter."""
    day = _day(random)
    return _with(
        elements,
        {
            "resourceType": "Encounter",
            "identifier": [identifier(random)],
            "status": "finished",
            "class": {"system": f"{TERMS}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
            "type": [concept(f"{SID}/visit", "03", "内科门诊")],
            "subject": {"reference": "Patient/bench", "display": "示例一"},
            "participant": [{"individual": {"reference": "Practitioner/bench"}}],
            "period": {"start": f"{day}T08:10:00+08:00", "end": f"{day}T08:40:00+08:00"},
            "serviceProvider": {"reference": "Organization/bench"},
        },
    )


def observation(random: Random, **elements: Json) -> JsonObject:
    """Return a laboratory result as an Observation."""
    return _with(
        elements,
        {
            "resourceType": "Observation",
            "identifier": [identifier(random)],
            "status": "final",
            "category": [concept(f"{TERMS}/observation-category", "laboratory", "检验")],
            "code": concept(LOINC, f"{random.randrange(700, 900)}-7", "血红蛋白"),
            "subject": {"reference": "Patient/bench"},
            "encounter": {"reference": "Encounter/bench"},
            "effectiveDateTime": f"{_day(random)}T09:30:00+08:00",
            "issued": f"{_day(random)}T10:30:00.000+08:00",
            "valueQuantity": {
                "value": random.randrange(900, 1800) / 10,
                "unit": "g/L",
                "system": UCUM,
                "code": "g/L",
            },
            "interpretation": [concept(f"{TERMS}/v3-ObservationInterpretation", "N", "正常")],
            "referenceRange": [{"low": {"value": 115, "unit": "g/L"}, "high": {"value": 150, "unit": "g/L"}}],
        },
    )


def medication_request(random: Random, **elements: Json) -> JsonObject:
    """Return a prescription line as a MedicationRequest."""
    return _with(
        elements,
        {
            "resourceType": "MedicationRequest",
            "identifier": [identifier(random)],
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept(f"{SID}/drug", f"D{random.randrange(3000)}", "示例片 0.5 g"),
            "subject": {"reference": "Patient/bench"},
            "encounter": {"reference": "Encounter/bench"},
            "authoredOn": f"{_day(random)}T09:00:00+08:00",
            "requester": {"reference": "Practitioner/bench"},
            "dosageInstruction": [
                {
                    "text": "口服，每日三次，每次一片",
                    "timing": {"repeat": {"frequency": 3, "period": 1, "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "片"}}],
                }
            ],
        },
    )


def claim(random: Random, **elements: Json) -> JsonObject:
    """Return a bill of three items as a Claim."""
    return _with(
        elements,
        {
            "resourceType": "Claim",
            "identifier": [identifier(random)],
            "status": "active",
            "type": concept(f"{TERMS}/claim-type", "professional", "Professional"),
            "use": "claim",
            "patient": {"reference": "Patient/bench"},
            "billablePeriod": {"start": _day(random), "end": _day(random)},
            "created": f"{_day(random)}T12:00:00+08:00",
            "provider": {"reference": "Organization/bench"},
            "priority": concept(f"{TERMS}/processpriority", "normal", "Normal"),
            "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/bench"}}],
            "item": [
                {
                    "sequence": place,
                    "productOrService": concept(f"{SID}/item", f"I{random.randrange(9000)}", "检查费"),
                    "encounter": [{"reference": "Encounter/bench"}],
                    "net": _money(random),
                }
                for place in range(1, 4)
            ],
            "total": _money(random),
        },
    )


def explanation_of_benefit(random: Random, **elements: Json) -> JsonObject:
    """Return the settlement of a bill of three items as an ExplanationOfBenefit."""
    return _with(
        elements,
        {
            "resourceType": "ExplanationOfBenefit",
            "identifier": [identifier(random)],
            "status": "active",
            "type": concept(f"{TERMS}/claim-type", "professional", "Professional"),
            "use": "claim",
            "patient": {"reference": "Patient/bench"},
            "billablePeriod": {"start": _day(random), "end": _day(random)},
            "created": f"{_day(random)}T12:00:00+08:00",
            "insurer": {"reference": "Organization/bench"},
            "provider": {"reference": "Organization/bench"},
            "claim": {"reference": "Claim/bench"},
            "outcome": "complete",
            "careTeam": [
                {
                    "sequence": 1,
                    "provider": {"reference": "Practitioner/bench"},
                    "role": concept(f"{TERMS}/claimcareteamrole", "primary", "Primary provider"),
                }
            ],
            "insurance": [{"focal": True, "coverage": {"reference": "Coverage/bench"}}],
            "item": [
                {
                    "sequence": place,
                    "productOrService": concept(f"{SID}/item", f"I{random.randrange(9000)}", "检查费"),
                    "servicedPeriod": {"start": _day(random), "end": _day(random)},
                    "net": _money(random),
                    "adjudication": [
                        {"category": concept(f"{TERMS}/adjudication", code, code), "amount": _money(random)}
                        for code in ("submitted", "eligible", "benefit")
                    ],
                }
                for place in range(1, 4)
            ],
            "total": [
                {
                    "category": concept(f"{TERMS}/adjudication", "submitted", "submitted"),
                    "amount": _money(random),
                }
            ],
            "payment": {"amount": _money(random)},
        },
    )


def condition(random: Random, **elements: Json) -> JsonObject:
    """Return a diagnosis as a Condition."""
    return _with(
        elements,
        {
            "resourceType": "Condition",
            "identifier": [identifier(random)],
            "clinicalStatus": concept(f"{TERMS}/condition-clinical", "active"),
            "code": concept(
                "http://hl7.org/fhir/sid/icd-10", f"{random.choice('EIJKMN')}{random.randrange(100):02}"
            ),
            "subject": {"reference": "Patient/bench"},
            "recordedDate": _day(random),
        },
    )


def service_request(random: Random, **elements: Json) -> JsonObject:
    """Return an order of a blood count as a ServiceRequest."""
    return _with(
        elements,
        {
            "resourceType": "ServiceRequest",
            "identifier": [identifier(random)],
            "status": "active",
            "intent": "order",
            "code": _panel(),
            "subject": {"reference": "Patient/bench"},
            "encounter": {"reference": "Encounter/bench"},
            "authoredOn": f"{_day(random)}T08:20:00+08:00",
        },
    )


def diagnostic_report(random: Random, **elements: Json) -> JsonObject:
    """Return the report of a blood count as a DiagnosticReport."""
    return _with(
        elements,
        {
            "resourceType": "DiagnosticReport",
            "identifier": [identifier(random)],
            "basedOn": [{"reference": "ServiceRequest/bench"}],
            "status": "final",
            "code": _panel(),
            "subject": {"reference": "Patient/bench"},
            "encounter": {"reference": "Encounter/bench"},
            "issued": f"{_day(random)}T10:30:00.000+08:00",
            "result": [{"reference": "Observation/bench"}],
        },
    )


NINE: Final[tuple[Callable[..., JsonObject], ...]] = (
    patient,
    location,
    organization,
    practitioner,
    encounter,
    observation,
    medication_request,
    claim,
    explanation_of_benefit,
)


def identifier(random: Random) -> JsonObject:
    """Return a number that nothing else has."""
    return {"system": SID, "value": f"{random.getrandbits(64):016x}"}


def concept(system: str, code: str, display: str | None = None) -> JsonObject:
    """Return a CodeableConcept, with its text where `display` is given."""
    if display is None:
        return {"coding": [{"system": system, "code": code}]}
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _with(elements: Mapping[str, Json], made: JsonObject) -> JsonObject:
    """Return `made` with `elements` in place of its own; those that are None are left out."""
    return {name: value for name, value in {**made, **elements}.items() if value is not None}


def _panel() -> JsonObject:
    return concept(LOINC, "58410-2", "全血细胞计数")


def _money(random: Random) -> JsonObject:
    return {"value": random.randrange(100, 90_000) / 100, "currency": _YUAN}


def _day(random: Random) -> str:
    return f"20{random.randrange(16, 26)}-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}"
