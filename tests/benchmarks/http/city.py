"""The record of a city for searches: people with visits, diagnoses, results and prescriptions, as NDJSON.

Codes are spread as in hospitals: the most frequent of 400 tests is 40 times as frequent as the median,
the rarest comes a few times in a million. 20 resources a person. Everybody is made up.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from hie.core.fhir.json import JsonObject, dumps
from tests.benchmarks import resources

PER_PERSON: Final = 20
CODES: Final = 400
LOINC: Final = resources.LOINC
CARD: Final = "http://hie.example/sid/H1/card"
UCUM: Final = resources.UCUM
FAMILIES: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑"
_DRUG: Final = "http://hie.example/sid/drug"
_PRELIMINARY: Final = 0.02
# No search asks for it, and a million of each would be loaded and indexed.
_PATIENT: Final = {"telecom": None, "maritalStatus": None, "managingOrganization": None}
_ENCOUNTER: Final = {"type": None, "participant": None, "serviceProvider": None}
_CONDITION: Final = {"identifier": None}
_OBSERVATION: Final = {"issued": None, "interpretation": None}
_MEDICATION_REQUEST: Final = {
    "identifier": None,
    "encounter": None,
    "requester": None,
    "dosageInstruction": None,
}


def write(path: Path, people: int) -> None:
    """Write the record of `people` to `path`; the same number gives the same bytes."""
    random = Random(11)  # noqa: S311 - reproducible, not secret
    draft = path.with_suffix(".draft")
    draft.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("wb") as file:
        for number in range(people):
            file.writelines(dumps(each) + b"\n" for each in _record(number, random))
    draft.replace(path)


def laboratory_code(random: Random) -> str:
    """Return the code of a test, frequent ones more often."""
    return f"t{min(CODES - 1, int(random.paretovariate(0.7)) - 1)}"


def family(random: Random) -> str:
    """Return a family name."""
    return FAMILIES[min(len(FAMILIES) - 1, int(random.expovariate(0.2)))]


def month(random: Random) -> str:
    """Return a month in which there are visits."""
    return f"20{random.randrange(16, 26)}-{random.randrange(1, 13):02}"


def _record(number: int, random: Random) -> Iterator[JsonObject]:
    subject = {"reference": f"Patient/p{number}"}
    yield resources.patient(
        random,
        id=f"p{number}",
        identifier=[{"system": CARD, "value": f"C{number:08}"}],
        name=[{"use": "official", "family": family(random), "given": [_given(random)]}],
        birthDate=f"19{random.randrange(30, 99)}-{month(random)[5:]}-{random.randrange(1, 29):02}",
        address=[{"city": "示例市", "district": f"示例{random.randrange(16)}区", "line": ["示例路1号"]}],
        **_PATIENT,
    )
    for visit in range(3):
        day = f"{month(random)}-{random.randrange(1, 29):02}"
        yield resources.encounter(
            random,
            id=f"e{number}-{visit}",
            identifier=[{"system": "http://hie.example/sid/H1/visit", "value": f"V{number}-{visit}"}],
            subject=subject,
            period={"start": f"{day}T08:00:00+08:00", "end": f"{day}T09:00:00+08:00"},
            **{"class": {"system": f"{resources.TERMS}/v3-ActCode", "code": "AMB" if visit else "IMP"}},
            **_ENCOUNTER,
        )
        for place in range(4):
            identity = f"o{number}-{visit}-{place}"
            yield resources.observation(
                random,
                id=identity,
                identifier=[{"system": "http://hie.example/sid/H1/result", "value": identity}],
                status="preliminary" if random.random() < _PRELIMINARY else "final",
                code=resources.concept(LOINC, laboratory_code(random)),
                subject=subject,
                encounter={"reference": f"Encounter/e{number}-{visit}"},
                effectiveDateTime=f"{day}T08:{random.randrange(60):02}:00+08:00",
                valueQuantity={
                    "value": random.randrange(10, 5000) / 10,
                    "unit": "mmol/L",
                    "system": UCUM,
                    "code": "mmol/L",
                },
                **_OBSERVATION,
            )
    for place in range(2):
        yield resources.condition(
            random, id=f"c{number}-{place}", subject=subject, recordedDate=f"{month(random)}-01", **_CONDITION
        )
        yield resources.medication_request(
            random,
            id=f"m{number}-{place}",
            subject=subject,
            medicationCodeableConcept=resources.concept(_DRUG, f"D{random.randrange(2000)}"),
            authoredOn=f"{month(random)}-02T10:00:00+08:00",
            **_MEDICATION_REQUEST,
        )


def _given(random: Random) -> str:
    return "".join(chr(0x4E00 + random.randrange(3000)) for _ in range(random.randrange(1, 3)))
