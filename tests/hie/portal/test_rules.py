"""The pure parts: ages, spans, silence, flags, charts, and the order of a timeline."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.board import DayCount
from hie.portal import chart, formats, timeline
from hie.portal.elements import end, quantity, start, time
from hie.portal.language import Language
from hie.portal.results import Flag, results_of
from hie.portal.silence import FEWEST, Voice, judge
from hie.portal.source_patient import Hospital, display_name, mask, resident_id

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHINESE_ID = "11010519491231002X"  # the example of GB 11643-1999


@pytest.mark.parametrize(
    ("birth_date", "text"),
    [
        ("2026-03-01", "0 天"),
        ("2026-02-02", "27 天"),
        ("2026-02-01", "1 个月"),
        ("2025-03-02", "11 个月"),
        ("2025-03-01", "1 岁"),
        ("2024-02-29", "2 岁"),
        ("2023-05-01", "2 岁 10 个月"),
        ("2022-03-02", "3 岁"),
        ("1980-03-02", "45 岁"),
        ("1980-03", "约 46 岁"),
        ("1980", "约 46 岁"),
        ("2026-03-02", ""),
        ("2030", ""),
        ("", ""),
        ("unknown", ""),
        ("abc", ""),
    ],
)
def test_age_is_told_as_finely_as_the_age_asks(birth_date: str, text: str) -> None:
    assert formats.age(birth_date, TODAY, Language.ZH) == text


@pytest.mark.parametrize(
    ("span", "chinese", "english"),
    [
        (timedelta(0), "0 秒", "0 s"),
        (timedelta(minutes=59, seconds=59), "59 分钟", "59 min"),
        (timedelta(hours=25), "1 天1 小时", "1 d 1 h"),
        (timedelta(days=3, minutes=5), "3 天", "3 d"),
        (timedelta(seconds=-5), "0 秒", "0 s"),
        (timedelta(seconds=59.9), "59 秒", "59 s"),
        (timedelta(seconds=60), "1 分钟", "1 min"),
    ],
)
def test_span_is_told_in_its_two_largest_units(span: timedelta, chinese: str, english: str) -> None:
    assert formats.duration(span, Language.ZH) == chinese
    assert formats.duration(span, Language.EN) == english


def heard(hours: Sequence[float]) -> list[datetime]:
    return [NOW - timedelta(hours=each) for each in hours]


def test_sender_is_silent_past_one_and_a_half_of_its_second_longest_gap() -> None:
    daily = [24.0 * number for number in range(1, 21)]
    assert judge(heard([24 * 0.5, *daily]), NOW).voice is Voice.HEARD
    late = [hours + 12.1 for hours in daily]
    judgement = judge(heard(late), NOW)
    assert (judgement.voice, judgement.usual_gap) == (Voice.SILENT, timedelta(days=1))
    assert judge(heard([hours + 11.9 for hours in daily]), NOW).voice is Voice.HEARD


def test_one_earlier_failure_does_not_hide_the_next() -> None:
    busy = [40 + number for number in range(30)] + [400 + number for number in range(30)]
    assert judge(heard(busy), NOW).voice is Voice.SILENT


def test_busy_sender_gets_an_hour() -> None:
    minutely = [number / 60 for number in range(300)]
    assert judge(heard([each + 0.9 for each in minutely]), NOW).voice is Voice.HEARD
    assert judge(heard([each + 1.1 for each in minutely]), NOW).voice is Voice.SILENT


def test_few_messages_are_not_judged() -> None:
    assert judge([], NOW).last is None
    assert judge(heard([1000.0] * (FEWEST - 1)), NOW).voice is Voice.UNJUDGED


@given(st.lists(st.floats(-10, 1000), min_size=FEWEST, max_size=60), st.floats(0, 1000), st.randoms())
def test_silence_does_not_end_by_waiting_nor_depend_on_order(
    hours: list[float], later: float, shuffler: Any
) -> None:
    times = heard([max(each, 0) for each in hours])
    first = judge(times, NOW)
    shuffler.shuffle(times)
    assert judge(times, NOW) == first
    if first.voice is Voice.SILENT:
        assert judge(times, NOW + timedelta(hours=later)).voice is Voice.SILENT


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "code": {"text": "X"}, "status": "final", **more}


@pytest.mark.parametrize(
    ("interpretation", "flag", "text"),
    [
        ([{"coding": [{"code": "H"}]}], Flag.HIGH, "H"),
        ([{"coding": [{"code": "H"}]}, {"coding": [{"code": "LL"}]}], Flag.CRITICAL_LOW, "LL"),
        ([{"coding": [{"code": "N"}]}], Flag.NONE, "N"),
        ([{"coding": [{"system": "local", "code": "*"}]}], Flag.MARKED, "*"),
        ([{"text": "↑"}], Flag.HIGH, "↑"),
        ([{"coding": [{"code": "zz"}], "text": "偏低"}], Flag.LOW, "偏低"),
        ([{}], Flag.NONE, ""),
        ([], Flag.NONE, ""),
    ],
)
def test_flag_is_what_the_hospital_said(interpretation: list[Any], flag: Flag, text: str) -> None:
    (result,) = results_of(observation(interpretation=interpretation, valueInteger=1))
    assert (result.flag, result.flag_text) == (flag, text)


@pytest.mark.parametrize(
    ("value", "text", "unit"),
    [
        ({"valueQuantity": {"value": 5, "comparator": "<", "unit": "mg"}}, "<5", "mg"),
        ({"valueQuantity": {"value": 5, "code": "mg"}}, "5", "mg"),
        ({"valueCodeableConcept": {"coding": [{"code": "A1", "display": "阳性"}]}}, "阳性", ""),
        ({"valueRange": {"low": {"value": 1, "unit": "g"}, "high": {"value": 2, "unit": "g"}}}, "1–2", "g"),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 80}}}, "1:80", ""),
        ({"valueBoolean": False}, "✗", ""),
        ({"valueString": "阴性"}, "阴性", ""),
        ({"valueTime": "12:00:00"}, "12:00:00", ""),
        ({"dataAbsentReason": {"text": "标本溶血"}}, "标本溶血", ""),
        ({}, "", ""),
    ],
)
def test_value_is_shown_as_written(value: dict[str, Any], text: str, unit: str) -> None:
    (result,) = results_of(observation(**value))
    assert (result.value, result.unit) == (text, unit)


def test_reference_range_has_its_text_or_its_bounds() -> None:
    ranges = [{"text": "阴性"}, {"low": {"value": 3}}, {"high": {"value": 5}}, {}]
    (result,) = results_of(observation(referenceRange=ranges, valueString="x"))
    assert result.reference_range == "阴性; ≥ 3; ≤ 5"


def test_elements_are_read_from_every_form_of_time() -> None:
    forms: list[tuple[dict[str, Any], str]] = [
        ({"effectiveDateTime": "2026-01-02T00:00:00Z"}, "2026-01-02 08:00"),
        ({"effectivePeriod": {"start": "2026-01-02", "end": "2026-01-05"}}, "2026-01-02 00:00"),
        ({"effectivePeriod": {"end": "2026-01"}}, "2026-01-01 00:00"),
        ({"effectiveTiming": {"event": ["2026"]}}, "2026-01-01 00:00"),
        ({"effectiveInstant": "2026-01-02T10:00:00.5+09:00"}, "2026-01-02 09:00"),
    ]
    for resource, text in forms:
        found = start(resource, "issued", "effective", zone=ZONE)
        assert found is not None
        assert formats.moment(found.at) == text
    assert start({}, "effective", zone=ZONE) is None


def test_end_is_the_latest_time_that_is_meant() -> None:
    assert end({"effectiveDateTime": "2026-02"}, "effective", zone=ZONE) == time("2026-02-28", ZONE)
    assert end({"period": {"start": "2026-02-01"}}, "period", zone=ZONE) is None
    assert end({"period": {"end": "2024"}}, "period", zone=ZONE) == time("2024-12-31", ZONE)
    assert end({}, "period", zone=ZONE) is None


def test_quantity_of_zero_is_a_quantity() -> None:
    assert quantity({"value": 0, "unit": "mg"}) == "0 mg"
    assert quantity({}) == quantity(None) == ""


def _day(number: int, cases: int, bound: float | None = None, *alarms: str) -> DayCount:
    return DayCount(date(2026, 1, 1) + timedelta(days=number), cases, bound, alarms)


@given(st.lists(st.tuples(st.integers(0, 5000), st.none() | st.floats(0, 5000)), max_size=120))
def test_chart_stays_inside_its_frame(days: list[tuple[int, float | None]]) -> None:
    drawn = chart.draw([_day(number, cases, bound) for number, (cases, bound) in enumerate(days)])
    assert len(drawn.bars) == len(days)
    assert len(drawn.rows) <= 6
    for bar in drawn.bars:
        assert drawn.left <= bar.x <= bar.x + bar.width <= drawn.right + 0.01
        assert -0.01 <= bar.y <= drawn.base
        assert abs(bar.y + bar.height - drawn.base) < 0.02
    for line in drawn.lines:
        for point in line.split():
            x, y = map(float, point.split(","))
            assert drawn.left <= x <= drawn.right
            assert -0.01 <= y <= drawn.base


def test_day_without_threshold_interrupts_the_line() -> None:
    bounds = [1.0, 2.0, None, 3.0, 3.5, None, 4.0]
    drawn = chart.draw([_day(number, 1, bound) for number, bound in enumerate(bounds)])
    assert [len(line.split()) for line in drawn.lines] == [2, 2]


@pytest.mark.parametrize(("top", "step"), [(0, 1), (4, 1), (4.1, 2), (9, 5), (21, 10), (80, 20), (900, 500)])
def test_ticks_are_round(top: float, step: int) -> None:
    assert chart.tick_step(top) == step


MOMENTS = st.sampled_from(
    ["2026-01-01", "2026-01", "2026-01-01T10:00:00+08:00", "2025-12-31T17:00:00Z", None]
)


@given(st.lists(MOMENTS, max_size=12), st.randoms())
def test_timeline_does_not_depend_on_the_order_of_resources(moments: list[str | None], shuffler: Any) -> None:
    resources = [
        observation(id=str(number), **({"effectiveDateTime": moment} if moment else {}))
        for number, moment in enumerate(moments)
    ]
    known = {f"Observation/{each['id']}": each for each in resources}

    def built() -> list[timeline.Day]:
        return timeline.by_day(timeline.build(resources, known, lambda _: Hospital("", ""), ZONE))

    first = built()
    shuffler.shuffle(resources)
    assert built() == first
    dates = [day.date for day in first]
    assert len(dates) == len(set(dates))
    assert None not in dates[:-1]


@pytest.mark.parametrize(
    ("identifier", "birth_date", "number"),
    [
        ({"system": "urn:oid:2.16.156.10011.1.3", "value": "anything"}, "", "ANYTHING"),
        ({"system": "local", "value": CHINESE_ID.lower()}, "1949-12-31", CHINESE_ID),
        ({"system": "local", "value": CHINESE_ID}, "1980-01-01", ""),
        ({"system": "local", "value": CHINESE_ID}, "", ""),
        ({"system": "local", "value": "110105194912310021"}, "1949-12-31", ""),
    ],
)
def test_resident_id_is_named_or_checked(identifier: dict[str, str], birth_date: str, number: str) -> None:
    assert resident_id({"identifier": [identifier], "birthDate": birth_date}) == number


def test_mask_keeps_six_and_four() -> None:
    assert mask(CHINESE_ID) == "110105********002X"
    assert mask("1234567890") == "1234567890"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ([{"family": "欧阳", "given": ["娜", "娜"]}], "欧阳娜娜"),
        ([{"family": "Smith", "given": ["John", "Q"]}], "John Q Smith"),
        ([{"use": "old", "text": "旧名"}, {"use": "official", "text": "新名"}], "新名"),
        ([{"use": "maiden", "family": "陈"}], "陈"),
        ([], ""),
    ],
)
def test_name_is_written_as_people_write_it(name: list[dict[str, Any]], shown: str) -> None:
    assert display_name({"name": name}) == shown


def test_attached_report_is_named_with_its_kind_and_size() -> None:
    observation = {
        "resourceType": "Observation",
        "code": {"text": "病理报告"},
        "extension": [
            {
                "url": "https://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.valueAttachment",
                "valueAttachment": {"contentType": "application/pdf", "data": "QUJD" * 4000},
            }
        ],
    }
    assert [line.value for line in results_of(observation)] == ["📎 application/pdf (12 kB)"]
