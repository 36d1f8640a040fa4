"""How long records are kept: 15 years after the last visit, 30 after the last discharge, the later one."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.retention import Record, load_retention, refusal_of

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("record", "code", "until"),
    [
        (Record(date(2011, 11, 24), None, is_in_hospital=False), "retention-outpatient", date(2026, 11, 24)),
        (Record(None, date(1996, 11, 24), is_in_hospital=False), "retention-inpatient", date(2026, 11, 24)),
        (
            Record(date(2026, 1, 1), date(2000, 1, 1), is_in_hospital=False),
            "retention-outpatient",
            date(2041, 1, 1),
        ),
        (
            Record(date(2012, 1, 1), date(2020, 2, 29), is_in_hospital=False),
            "retention-inpatient",
            date(2050, 3, 1),
        ),
        (Record(date(1990, 1, 1), date(1990, 1, 1), is_in_hospital=True), "retention-inpatient", None),
    ],
)
def test_record_is_kept_by_the_rule_that_holds_longest(record: Record, code: str, until: date | None) -> None:
    refusal = refusal_of(record, TODAY)
    assert refusal is not None
    assert (refusal.code, refusal.until) == (code, until)
    assert "第五十三条" in refusal.source


@pytest.mark.parametrize(
    "record",
    [
        Record(None, None, is_in_hospital=False),
        Record(date(2011, 11, 23), None, is_in_hospital=False),
        Record(date(2011, 11, 23), date(1996, 11, 23), is_in_hospital=False),
    ],
)
def test_record_may_be_erased_when_all_terms_have_ended(record: Record) -> None:
    assert refusal_of(record, TODAY) is None


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)))
def test_refusal_ends_on_the_day_it_names(last: date) -> None:
    record = Record(last, None, is_in_hospital=False)
    refusal = refusal_of(record, last)
    assert refusal is not None
    assert refusal.until is not None
    assert refusal_of(record, refusal.until - timedelta(days=1)) is not None
    assert refusal_of(record, refusal.until) is None


def test_terms_are_those_of_the_statutes() -> None:
    rules = load_retention()
    assert (rules.outpatient.years, rules.inpatient.years) == (15, 30)
