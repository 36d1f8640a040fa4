"""Cases follow the record, counts replace counts, and the board shows an outbreak where there is one."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics.board import board
from analytics.cases import case_of
from analytics.counts import DailyCounts
from analytics.queries import keep_cases, series
from hie.core.db.database import Database
from hie.core.ports import DailyCount, SurveillanceSite

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 7, 1)


def _condition(code: str, system: str = "http://hl7.org/fhir/sid/icd-10", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "code": {"coding": [{"system": system, "code": code}]},
        "recordedDate": "2026-06-30T17:30:00Z",
        **more,
    }


def test_diagnosis_of_a_group_is_a_case_on_its_day_in_the_city() -> None:
    case = case_of(_condition("B08.4"), ZONE)
    assert case is not None
    assert (case.group.key, case.day) == ("hand-foot-mouth", date(2026, 7, 1))


@pytest.mark.parametrize(
    "condition",
    [
        _condition("I10"),
        _condition("B08.4", system="http://snomed.info/sct"),
        _condition("B08.4", verificationStatus={"coding": [{"code": "entered-in-error"}]}),
        {"resourceType": "Condition", "code": {"text": "手足口病"}},
        {"resourceType": "Condition"},
    ],
)
def test_other_diagnoses_and_errors_are_no_case(condition: dict[str, Any]) -> None:
    assert case_of(condition, ZONE) is None


def _count(database: Database, day: date) -> dict[str, int]:
    with database.transaction() as transaction:
        frame = series(transaction, first=day, last=day)
    return dict(zip(frame["condition"], frame["cases"], strict=True))


def test_counts_loaded_again_replace_themselves(database: Database) -> None:
    row = DailyCount(TODAY, "410105", "LCH001", "mumps", 4)
    for cases in (4, 7):
        with database.transaction() as transaction:
            rows = [DailyCount(row.day, row.division, row.institution, row.condition, cases)]
            assert DailyCounts().load(transaction, rows) == 1
    assert _count(database, TODAY) == {"mumps": 7}


def test_older_version_of_a_condition_does_not_replace_a_newer_one(database: Database) -> None:
    with database.transaction() as transaction:
        keep_cases(transaction, [("c1", 2, "mumps", TODAY, "LCH001"), ("c2", 1, "mumps", TODAY, "LCH001")])
        keep_cases(transaction, [("c1", 1, "chickenpox", TODAY, "LCH001")])
    assert _count(database, TODAY) == {"mumps": 2}
    with database.transaction() as transaction:
        keep_cases(transaction, [("c1", 3, "", date.min, "")])
    assert _count(database, TODAY) == {"mumps": 1}


def test_board_alarms_in_the_division_of_the_outbreak_only(database: Database) -> None:
    rows = [
        DailyCount(TODAY - timedelta(days=back), division, f"H{division}", "hand-foot-mouth", 3 + back % 3)
        for back in range(120)
        for division in ("410102", "410105")
    ]
    with database.transaction() as transaction:
        DailyCounts().load(transaction, rows)
        DailyCounts().register(
            transaction,
            [SurveillanceSite(institution="LCH009", name="九院", division="410105", division_name="金水区")],
        )
        transaction.session.flush()
        keep_cases(transaction, [(f"c{n}", 1, "hand-foot-mouth", TODAY, "LCH009") for n in range(30)])
        boards = {(found.group.key, found.division): found for found in board(transaction, today=TODAY)}
    struck = boards["hand-foot-mouth", "410105"]
    assert struck.days[-1].cases == 33
    assert struck.days[-1].alarms == ("ears-c1", "ears-c2")  # C3 looks at the days before
    assert len(struck.days) == 90
    assert struck.division_name == "金水区"
    assert boards["hand-foot-mouth", "410102"].alarm_days == ()
    assert boards["hand-foot-mouth", ""].days[-1].alarms
    assert boards["mumps", ""].alarm_days == ()
