"""FHIR records of a few persons in three hospitals, written for these tests.

Resident ID numbers have right check digits and divisions (999...) that do not exist.
"""

from typing import Any

from hie import wiring

RESIDENT_ID = "urn:oid:2.16.156.10011.1.3"
SID = "http://hie.example/sid"
ZHANG_ID = "99910119800229001X"
LI_ID = "999102197512310027"
Resource = dict[str, Any]


def organization(code: str, name: str) -> Resource:
    """Return a hospital."""
    return {
        "resourceType": "Organization",
        "identifier": [{"system": f"{SID}/{code}/Organization", "value": code}],
        "name": name,
    }


def patient(key: str, hospital: str, name: str, *numbers: tuple[str, str, str], **more: Any) -> Resource:
    """Return a Patient of a hospital with numbers as (system, type code, value)."""
    identifiers = [
        {"system": system, "value": value, "type": {"coding": [{"code": code}]}}
        for system, code, value in numbers
    ]
    return {
        "resourceType": "Patient",
        "identifier": [{"system": f"{SID}/test", "value": key}, *identifiers],
        "managingOrganization": {"reference": f"urn:uuid:{hospital}"},
        "name": [{"text": name}],
        **more,
    }


def about(kind: str, key: str, subject: str, **more: Any) -> Resource:
    """Return a resource about a patient; references to other keys stand as ``urn:uuid:key``."""
    member = "patient" if kind in {"AllergyIntolerance", "Immunization"} else "subject"
    return {
        "resourceType": kind,
        "identifier": [{"system": f"{SID}/test", "value": key}],
        member: {"reference": f"urn:uuid:{subject}"},
        **more,
    }


def text(words: str, **coding: str) -> Resource:
    """Return a CodeableConcept."""
    return {"text": words, **({"coding": [coding]} if coding else {})}


def resource_set() -> dict[str, Resource]:
    """Return every resource by its key."""
    lab = {"status": "final", "effectiveDateTime": "2026-03-09T16:30:00Z"}
    return {
        "h1": organization("H1", "第一人民医院"),
        "h2": organization("H2", "妇幼保健院"),
        "h3": organization("H3", "城东镇卫生院"),
        "zhang-1": patient(
            "zhang-1",
            "h1",
            "张三丰",
            (RESIDENT_ID, "NNCHN", ZHANG_ID),
            (f"{SID}/H1/card", "PI", "C-1001"),
            gender="male",
            birthDate="1980-02-29",
        ),
        "zhang-2": patient(
            "zhang-2",
            "h2",
            "张三峰",
            (f"{SID}/H2/id", "SB", ZHANG_ID),
            (f"{SID}/H2/card", "MR", "P&7.7/0"),
            gender="male",
            birthDate="1980-02-29",
        ),
        "li": patient(
            "li",
            "h1",
            "李<script>alert(1)</script>梅",
            (RESIDENT_ID, "NNCHN", LI_ID),
            (f"{SID}/H1/card", "PI", "C-2002"),
            gender="female",
            birthDate="1975-12-31",
        ),
        "bao": patient("bao", "h3", "包某", (f"{SID}/H3/card", "PI", "C-2002"), birthDate="2026-02-20"),
        "penicillin": about("AllergyIntolerance", "penicillin", "zhang-2", code=text("青霉素")),
        "ward": {
            "resourceType": "Location",
            "identifier": [{"system": f"{SID}/test", "value": "ward"}],
            "name": "XN",
            "description": "心内科",
        },
        "stay": about(
            "Encounter",
            "stay",
            "zhang-1",
            status="finished",
            **{"class": {"code": "IMP", "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode"}},
            period={"start": "2026-03-01T08:00:00+08:00", "end": "2026-03-05T10:00:00+08:00"},
            diagnosis=[{"condition": {"reference": "urn:uuid:angina"}}],
            location=[{"location": {"reference": "urn:uuid:ward", "display": "XN"}}],
            participant=[{"individual": {"display": "王大夫"}}],
        ),
        "angina": about(
            "Condition", "angina", "zhang-1", code=text("心绞痛", code="I20.9"), onsetDateTime="2026-03-01"
        ),
        "asthma": about(
            "Condition", "asthma", "zhang-2", code=text("哮喘", code="J45.9"), recordedDate="2025-06-01"
        ),
        "blood-order": about(
            "ServiceRequest",
            "blood-order",
            "zhang-2",
            status="active",
            intent="order",
            authoredOn="2026-03-09",
            code=text("血常规申请"),
        ),
        "ct-order": about(
            "ServiceRequest",
            "ct-order",
            "zhang-1",
            status="active",
            intent="order",
            authoredOn="2026-03-02",
            code=text("胸部CT"),
        ),
        "drug-order": about(
            "ServiceRequest",
            "drug-order",
            "zhang-1",
            status="active",
            intent="order",
            authoredOn="2026-03-03T09:15:00+08:00",
        ),
        "drug": about(
            "MedicationRequest",
            "drug",
            "zhang-1",
            status="active",
            intent="order",
            medicationCodeableConcept=text("阿司匹林肠溶片"),
            basedOn=[{"reference": "urn:uuid:drug-order"}],
            dosageInstruction=[{"doseAndRate": [{"doseQuantity": {"value": 100, "unit": "mg"}}]}],
        ),
        "potassium": about(
            "Observation",
            "potassium",
            "zhang-2",
            **lab,
            code=text("钾"),
            valueQuantity={"value": 6.9, "unit": "mmol/L"},
            referenceRange=[{"low": {"value": 3.5}, "high": {"value": 5.3}}],
            interpretation=[{"coding": [{"code": "HH"}]}],
        ),
        "sodium": about(
            "Observation",
            "sodium",
            "zhang-2",
            **lab,
            code=text("钠"),
            valueQuantity={"value": 128, "unit": "mmol/L"},
            referenceRange=[{"text": "137-147"}],
            interpretation=[{"coding": [{"code": "L"}]}],
        ),
        "report": about(
            "DiagnosticReport",
            "report",
            "zhang-2",
            **lab,
            code=text("电解质"),
            basedOn=[{"reference": "urn:uuid:blood-order"}],
            result=[{"reference": "urn:uuid:potassium"}, {"reference": "urn:uuid:sodium"}],
        ),
        "pressure": about(
            "Observation",
            "pressure",
            "zhang-1",
            status="final",
            code=text("血压"),
            effectiveDateTime="2026-03-02T07:00:00+08:00",
            component=[
                {"code": text("收缩压"), "valueQuantity": {"value": 128, "unit": "mmHg"}},
                {"code": text("舒张压"), "valueQuantity": {"value": 82, "unit": "mmHg"}},
            ],
        ),
        "weight": about(
            "Observation",
            "weight",
            "zhang-1",
            status="final",
            code=text("体重"),
            valueQuantity={"value": 70, "unit": "kg"},
        ),
    }


def store(exchange: wiring.Exchange, resources: dict[str, Resource] | None = None) -> dict[str, str]:
    """Store the resources in one transaction; return the ids by key."""
    chosen = resource_set() if resources is None else resources
    entries = [
        {
            "fullUrl": f"urn:uuid:{key}",
            "resource": resource,
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
        for key, resource in chosen.items()
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    with exchange.database.transaction() as transaction:
        (result,) = exchange.repository.transact(transaction, [bundle])
        if result.error is not None:
            raise result.error
    return dict(zip(chosen, (entry.id for entry in result.entries), strict=True))


def many_observations(subject: str, days: int, each: int) -> dict[str, Resource]:
    """Return `each` Observations on each of `days` days from 2025-01-01 on, named after day and number."""
    from datetime import date, timedelta

    first = date(2025, 1, 1)
    return {
        f"o-{day}-{number}": {
            "resourceType": "Observation",
            "status": "final",
            "subject": {"reference": subject},
            "code": {"text": f"O{day}.{number}"},
            "effectiveDateTime": f"{first + timedelta(days=day)}T{number % 24:02}:00:00+08:00",
            "valueInteger": number,
        }
        for day in range(days)
        for number in range(each)
    }
