"""The span of a FHIR date, of every precision and at the edges of time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.index.date_range import date_range
from fhir_server.index.rows import OPEN_END, OPEN_START

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", "2023-12-31T16:00:00Z", "2024-12-31T16:00:00Z"),
        ("2024-02", "2024-01-31T16:00:00Z", "2024-02-29T16:00:00Z"),
        ("2024-12", "2024-11-30T16:00:00Z", "2024-12-31T16:00:00Z"),
        ("2024-02-29", "2024-02-28T16:00:00Z", "2024-02-29T16:00:00Z"),
        ("2024-01-01T10:20", "2024-01-01T02:20:00Z", "2024-01-01T02:21:00Z"),
        ("2024-01-01T10:20:30", "2024-01-01T02:20:30Z", "2024-01-01T02:20:31Z"),
        ("2024-01-01T10:20:30Z", "2024-01-01T10:20:30Z", "2024-01-01T10:20:31Z"),
        ("2024-01-01T10:20:30-05:30", "2024-01-01T15:50:30Z", "2024-01-01T15:50:31Z"),
        ("2024-01-01T10:20:30.5Z", "2024-01-01T10:20:30.500000Z", "2024-01-01T10:20:30.600000Z"),
        ("2024-01-01T10:20:30.1234567Z", "2024-01-01T10:20:30.123456Z", "2024-01-01T10:20:30.123457Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z", "2017-01-01T00:00:00Z"),
    ],
)
def test_date_covers_its_precision(text: str, start: str, end: str) -> None:
    assert date_range(text, SHANGHAI) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "2024-13",
        "2024-02-30",
        "2024-1-1",
        "2024-01-01T",
        "2024-01-01T10",
        "20240101",
        "２０２４",
        "2024-01-01T25:00:00Z",
        "2024-01-01 10:20:30Z",
        "2024-W01-1",
        "2024-01-01T10:20:30+0800",
        "0000",
    ],
)
def test_other_text_is_no_date(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are datetime's own in part
        date_range(text, SHANGHAI)


def test_dates_at_the_edges_of_time_are_open() -> None:
    assert date_range("0001-01-01", SHANGHAI)[0] == OPEN_START
    assert date_range("9999", SHANGHAI)[1] == OPEN_END
    assert date_range("9999-12-31T23:59:59-12:00", SHANGHAI) == (OPEN_END, OPEN_END)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)))  # noqa: DTZ001 - the zone is what is tested
def test_a_longer_text_lies_within_the_shorter_one(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds")
    spans = [date_range(text[:length], SHANGHAI) for length in (4, 7, 10, 16, 19, 26)]
    for (low, high), (inner_low, inner_high) in pairwise(spans):
        assert low <= inner_low < inner_high <= high
    assert spans[-1] == (
        moment.replace(tzinfo=SHANGHAI).astimezone(UTC),
        moment.replace(tzinfo=SHANGHAI).astimezone(UTC) + timedelta(microseconds=1),
    )
