"""No direct identifier survives de-identification, whatever the resource; pseudonyms tell only sameness."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.validation.structure import StructureValidator
from hie.core.fhir.json import JsonObject, dumps
from hie.privacy.anonymity import Level
from hie.privacy.deidentification import Dates, Deidentifier, Plan, quasi_of
from hie.privacy.deidentification_rules import load_rules
from hie.privacy.pseudonyms import Pseudonyms
from tests.hie.privacy.secrets import SECRETS, secret_record
from tests.hie.privacy.whole import CANARY, instance, types

TODAY = date(2026, 11, 23)
KEY, OTHER = b"k" * 32, b"o" * 32
FINEST = Level(1, 2, has_gender=True)
IDS = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True)


def deidentifier(
    key: bytes = KEY, *, left_out: tuple[str, ...] = (), dates: Dates = "year", level: Level = FINEST
) -> Deidentifier:
    return Deidentifier(
        load_rules(),
        Pseudonyms(key),
        Plan(level, frozenset(left_out)),
        dates=dates,
        today=TODAY,
        base_url="http://hie.example/fhir",
    )


@pytest.mark.parametrize("dates", ["year", "shifted"])
def test_of_every_type_no_text_id_or_url_survives(dates: Dates) -> None:
    exported = 0
    for name in types():
        whole = instance(name)
        assert CANARY in dumps(whole).decode(), name
        # Region is told where at least k patients share it, as they write it: here it is not.
        made = deidentifier(dates=dates, level=Level(1, 0, has_gender=True)).of(whole)
        if made is None:
            assert name in load_rules().left_out, name
            continue
        exported += 1
        text = dumps(made).decode()
        assert CANARY not in text, (name, text)
        assert "1931-07" not in text, (name, text)
        assert "11:22:33" not in text.replace('"11:22:33"', ""), (name, text)
    assert exported > 110


def test_what_is_left_is_valid_r4() -> None:
    validator = StructureValidator()
    for each in secret_record("y"):
        made = deidentifier().of(each)
        assert made is not None
        assert [found for found in validator.validate(made) if found.severity == "error"] == []
        assert not [secret for secret in SECRETS if secret in dumps(made).decode()]


def test_a_patient_keeps_what_anonymity_was_measured_by_alone() -> None:
    patient = {
        **secret_record("y")[0],
        "birthDate": "1983-05-06",
        "deceasedDateTime": "2020-02-03",
        "maritalStatus": {"text": "M"},
        "address": [{"state": "河南省", "city": "郑州市", "district": "中原区", "line": ["12号"]}],
    }
    made = deidentifier(level=Level(5, 1, has_gender=True)).of(patient)
    assert made == {
        "resourceType": "Patient",
        "id": Pseudonyms(KEY).of("Patient", "y"),
        "meta": {
            "security": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                    "code": "PSEUDED",
                    "display": "pseudonymized",
                }
            ]
        },
        "active": True,
        "gender": "female",
        "birthDate": "1980",
        "deceasedBoolean": True,
        "address": [{"state": "河南省"}],
    }


@given(born=st.integers(1880, 2026))
def test_who_is_ninety_or_older_was_born_ninety_years_ago(born: int) -> None:
    quasi = quasi_of({"birthDate": f"{born}-01-01"}, oldest=90, today=TODAY)
    assert quasi.born == max(born, TODAY.year - 90)


@pytest.mark.parametrize(
    ("given_age", "left"),
    [
        ({"value": 89, "code": "a", "system": "http://unitsofmeasure.org"}, 89),
        ({"value": 90, "code": "a", "system": "http://unitsofmeasure.org"}, 90),
        ({"value": 103.5, "code": "a", "system": "http://unitsofmeasure.org"}, 90),
        ({"value": 1300, "code": "mo", "system": "http://unitsofmeasure.org"}, 90),
        ({"value": 40000, "code": "d", "system": "http://unitsofmeasure.org"}, 90),
        ({"value": 140, "code": "mm[Hg]", "system": "http://unitsofmeasure.org"}, 140),
    ],
)
def test_an_age_from_ninety_on_is_ninety_or_more(given_age: JsonObject, left: float) -> None:
    made = deidentifier().of({"resourceType": "Condition", "id": "c", "onsetAge": given_age})
    assert made is not None
    assert made["onsetAge"]["value"] == left
    assert ("comparator" in made["onsetAge"]) == (left == 90)


def test_of_who_is_left_out_and_of_what_a_modifier_extension_changes_nothing_is_exported() -> None:
    left_out = deidentifier(left_out=("y",))
    assert left_out.of({"resourceType": "Patient", "id": "y"}) is None
    about = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/y"}}
    absolute = {**about, "subject": {"reference": "http://hie.example/fhir/Patient/y/_history/3"}}
    assert left_out.of(about) is None
    assert left_out.of(absolute) is None
    assert deidentifier().of(about) is not None
    changed = {**about, "component": [{"modifierExtension": [{"url": "http://e.example/not"}]}]}
    assert deidentifier().of(changed) is None


def test_codings_of_local_systems_go_and_of_standard_ones_keep_their_code() -> None:
    made = deidentifier().of(
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {
                "text": "written by hand",
                "coding": [
                    {"system": "http://loinc.org", "code": "718-7", "display": "Hb of Mr X"},
                    {"system": "http://hie.example/sid/hospital", "code": "HB"},
                ],
            },
        }
    )
    assert made is not None
    assert made["code"] == {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}


@given(kind=st.sampled_from(types()), identity=IDS, other=IDS)
def test_a_pseudonym_is_the_same_within_a_project_and_another_in_every_other(
    kind: str, identity: str, other: str
) -> None:
    mine, theirs = Pseudonyms(KEY), Pseudonyms(OTHER)
    made = mine.of(kind, identity)
    assert made == Pseudonyms(KEY).of(kind, identity)
    assert made != theirs.of(kind, identity)
    assert (made == mine.of(kind, other)) == (identity == other)
    assert made != Pseudonyms(KEY, "sm3").of(kind, identity)
    assert len(made) == 26
    assert made.isalnum()


@given(identity=IDS)
def test_references_lead_to_the_pseudonym_of_what_they_led_to(identity: str) -> None:
    patient = deidentifier().of({"resourceType": "Patient", "id": identity})
    about = deidentifier().of(
        {"resourceType": "Observation", "id": "o", "subject": {"reference": f"Patient/{identity}"}}
    )
    assert patient is not None
    assert about is not None
    assert about["subject"] == {"reference": f"Patient/{patient['id']}"}


@given(identity=IDS, first=st.dates(date(1950, 1, 1), TODAY), second=st.dates(date(1950, 1, 1), TODAY))
def test_moved_dates_of_a_patient_keep_their_distance(identity: str, first: date, second: date) -> None:
    subject = {"subject": {"reference": f"Patient/{identity}"}}
    period: dict[str, Any] = {"start": first.isoformat(), "end": second.isoformat()}
    made = deidentifier(dates="shifted").of(
        {"resourceType": "Encounter", "id": "e", **subject, "period": period}
    )
    assert made is not None
    start, end = (date.fromisoformat(made["period"][name]) for name in ("start", "end"))
    assert end - start == second - first
    assert 1 <= (first - start).days <= 365


def test_dates_lose_month_and_day() -> None:
    made = deidentifier().of(
        {
            "resourceType": "Observation",
            "id": "o",
            "effectiveDateTime": "2024-03-01T10:00:00+08:00",
            "issued": "2024-03-01T10:00:00.000+08:00",
        }
    )
    assert made is not None
    assert made["effectiveDateTime"] == "2024"
    assert "issued" not in made
