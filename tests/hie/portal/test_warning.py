"""The analyst sees the counts of every group, their threshold, and the alarms by division."""

import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from analytics.condition_groups import condition_groups
from hie import wiring
from hie.core.ports import DailyCount, SurveillanceSite
from tests.hie.portal.browser import Browser

TODAY = date(2026, 3, 10)
DIVISIONS = (("H1", "410102", "中原区"), ("H2", "410105", "金水区"))


def load(exchange: wiring.Exchange, cases: Callable[[int, str], int]) -> None:
    """Load 100 days of mumps; `cases` takes the days before today and the institution."""
    sites = [SurveillanceSite(code, f"医院{code}", division, name) for code, division, name in DIVISIONS]
    rows = [
        DailyCount(TODAY - timedelta(days=ago), division, code, "mumps", cases(ago, code))
        for ago in range(100)
        for code, division, _name in DIVISIONS
    ]
    with exchange.database.transaction() as transaction:
        exchange.daily_counts.register(transaction, sites)
        exchange.daily_counts.load(transaction, rows)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


@pytest.fixture
def outbreak(exchange: wiring.Exchange) -> None:
    """Mumps in one division on the last three days."""
    load(exchange, lambda ago, code: 30 if ago < 3 and code == "H2" else 2)


@pytest.mark.usefixtures("outbreak")
def test_outbreak_is_listed_with_its_division_and_detectors(client: Browser) -> None:
    text = words(client.get("/warning").text)
    assert "2026-03-08 星期日 流行性腮腺炎 金水区 30" in text
    assert "流行性腮腺炎 全市 32" in text
    assert "流行性腮腺炎 中原区" not in text
    assert re.search(r"金水区 30 \d+\.\d C1 C2", text)


@pytest.mark.usefixtures("outbreak")
def test_alarms_begin_with_the_newest_day(client: Browser) -> None:
    days = re.findall(r'<td class="time">(\S+)', client.get("/warning").text)
    assert len(days) >= 4
    assert days == sorted(days, reverse=True)


@pytest.mark.usefixtures("outbreak")
def test_every_group_has_a_chart_of_ninety_days(client: Browser) -> None:
    text = client.get("/warning").text
    assert text.count("<svg") == len(condition_groups())
    assert text.count("<rect") == 90 * len(condition_groups())
    assert "2026-03-10：32 例" in text
    assert 'class="alarm"' in text
    assert 'class="threshold"' in text


@pytest.mark.usefixtures("outbreak")
def test_group_is_shown_by_division(client: Browser) -> None:
    text = client.get("/warning?group=mumps").text
    assert re.findall(r"<figcaption><b>([^<]+)</b>", text) == ["全市", "中原区", "金水区"]
    assert 'aria-label="中原区：共 180 例，预警 0 天"' in text
    assert "没有预警信号" in client.get("/warning?group=dysentery").text


def test_quiet_city_has_no_alarm(client: Browser, exchange: wiring.Exchange) -> None:
    load(exchange, lambda _ago, _code: 2)
    text = client.get("/warning").text
    assert "近 14 天没有预警信号" in text
    assert 'class="alarm"' not in text


def test_city_without_cases_says_so(client: Browser) -> None:
    assert "近 90 天没有病例数据" in client.get("/warning").text


def test_unknown_group_is_not_found(client: Browser) -> None:
    assert client.get("/warning?group=plague").status_code == 404


@pytest.mark.usefixtures("outbreak")
def test_english_names_groups_and_detectors(client: Browser) -> None:
    client.post("/language", data={"language": "en"})
    text = words(client.get("/warning").text)
    assert re.search(r"2026-03-08 Sun Mumps 金水区 30 \d+\.\d C1 C2", text)
