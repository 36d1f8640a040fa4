"""The operator sees who sends, what fails and who is silent, and no patient."""

import re
from datetime import datetime, timedelta
from typing import Final

import pytest

from hie import wiring
from hie.core.errors import DataTypeError, ExchangeError, MessageSyntaxError
from hie.core.ports import SurveillanceSite
from hl7_gateway import journal
from hl7_gateway.header import header_from
from hl7_gateway.tables import SenderProfile
from tests.hie.portal.browser import Browser
from tests.hie.portal.conftest import NOW, ZONE

PATIENT: Final = "测试患者甲"


def message(number: int, sent: datetime, *, head: str = "MSH|^~\\&|HIS|H1|HIE|HIE|", rest: str = "") -> bytes:
    """Return a message whose MSH-7 is `sent` in the hospital's zone, in GB18030."""
    local = sent.astimezone(ZONE)
    text = f"{head}{local:%Y%m%d%H%M%S}{rest}||ADT^A01|{number}|P|2.5.1\rPID|||||{PATIENT}\r"
    return text.encode("gb18030")


def receive(
    exchange: wiring.Exchange,
    sender: str,
    sent: list[datetime],
    *,
    received: datetime | None = None,
    error: ExchangeError | None = None,
    **more: str,
) -> None:
    """Write messages to the journal as the gateway does."""
    entries = [
        journal.Entry(
            id=None,
            identity=journal.identify(raw, sender, f"{sender}{number}"),
            received_at=received or time,
            sender=sender,
            control_id=f"M{number}",
            event="ADT^A01" if sender else None,
            raw=raw,
            charset="gb18030",
            stage="convert" if error else None,
            error=error,
            report=None,
            ack_code="AE" if error else "AA",
            resources=(),
            reuses_control_id=False,
            resends=0,
            sent_at=header_from(raw).raw(7),
            patients=(),
        )
        for number, time in enumerate(sent)
        for raw in [message(number, time, **more)]
    ]
    with exchange.database.transaction() as transaction:
        journal.write(transaction, entries)


def register(
    exchange: wiring.Exchange,
    application: str,
    facility: str,
    *,
    zone: str | None = None,
    is_enabled: bool = True,
    is_registered: bool = True,
) -> None:
    """Enter a sender."""
    profile = SenderProfile(
        application=application,
        facility=facility,
        zone=zone,
        is_enabled=is_enabled,
        is_registered=is_registered,
    )
    with exchange.database.transaction() as transaction:
        transaction.session.add(profile)


def hours(*ago: float) -> list[datetime]:
    """Return times so many hours ago."""
    return [NOW - timedelta(hours=each) for each in ago]


def row(client: Browser, facility: str) -> str:
    """Return the words of a sender's row."""
    text = client.get("/gateway").text
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL)
    found = [each for each in rows if facility in each]
    assert found
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found[0]))


@pytest.fixture
def senders(exchange: wiring.Exchange) -> wiring.Exchange:
    """The exchange with a sender that is heard, one that is silent, and failures of each."""
    register(exchange, "HIS", "H1")
    register(exchange, "LIS", "H2", is_registered=False)
    register(exchange, "PACS", "H3", is_enabled=False)
    exchange_sites = [SurveillanceSite("H1", "第一人民医院", "410102", "中原区")]
    with exchange.database.transaction() as transaction:
        exchange.daily_counts.register(transaction, exchange_sites)
    receive(exchange, "HIS|H1", hours(*range(1, 40)))
    receive(exchange, "LIS|H2", hours(*range(30, 70)))
    receive(exchange, "PACS|H3", hours(*range(100, 140)))
    receive(
        exchange,
        "HIS|H1",
        hours(0.5),
        error=DataTypeError(f"`{PATIENT}` is no date", location="PID-7"),
        rest="1",
    )
    receive(exchange, "", hours(13), error=MessageSyntaxError("no MSH"), head="XXX|")
    return exchange


@pytest.mark.usefixtures("senders")
def test_messages_are_counted_since_midnight_and_within_a_day(client: Browser) -> None:
    # noon in the zone: 12 hours of today, 24 of the day
    assert re.search(
        r"第一人民医院 HIS\|H1 正常 2026-03-10 11:30 2026-03-10 11:30 1 小时 13 25 1 $", row(client, "HIS|H1")
    )
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", client.get("/gateway").text))
    assert "今日消息 13 24 小时消息 26 今日失败 1 24 小时失败 2 失联机构 1" in text


@pytest.mark.usefixtures("senders")
def test_silent_sender_stands_first_with_its_own_gap(client: Browser) -> None:
    text = client.get("/gateway").text
    assert text.index("LIS|H2") < text.index("HIS|H1")
    assert "已 1 天6 小时 无消息（惯常间隔 1 小时）" in re.sub(r"<[^>]*>", "", text)
    assert "未登记" in row(client, "LIS|H2")
    assert "失联" in row(client, "LIS|H2")


@pytest.mark.usefixtures("senders")
def test_sender_that_is_switched_off_is_not_missed(client: Browser) -> None:
    assert "已停用" in row(client, "PACS|H3")
    assert "失联" not in row(client, "PACS|H3")


@pytest.mark.usefixtures("senders")
def test_failure_names_stage_reason_and_field_but_no_patient(client: Browser) -> None:
    text = client.get("/gateway").text
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))
    assert "2026-03-10 11:30 HIS|H1 ADT^A01 M0 转换 字段值不符合数据类型 PID-7 AE" in words
    assert "消息头无法识别" in words
    assert PATIENT not in text


def test_silence_is_told_by_the_time_of_the_messages_not_of_a_backlog(
    client: Browser, exchange: wiring.Exchange
) -> None:
    register(exchange, "HIS", "H1")
    receive(exchange, "HIS|H1", hours(*range(50, 90)), received=NOW - timedelta(minutes=1))
    assert "失联" in row(client, "HIS|H1")
    assert "2026-03-08 10:00" in row(client, "HIS|H1")


@pytest.mark.parametrize(
    ("rest", "head"),
    [
        ("+0800", "MSH|^~\\&|HIS|H1|HIE|HIE|"),
        (".123^S", "MSH|^~\\&|HIS|H1|HIE|HIE|"),
        ("", "\ufeffMSH|^~\\&|HIS||||"),
    ],
)
def test_time_of_a_message_is_its_msh_7(
    client: Browser, exchange: wiring.Exchange, rest: str, head: str
) -> None:
    register(exchange, "HIS", "H1")
    receive(exchange, "HIS|H1", hours(5), received=NOW, rest=rest, head=head)
    assert "2026-03-10 12:00 2026-03-10 07:00" in row(client, "HIS|H1")


@pytest.mark.parametrize("head", ["MSH|^~\\&|HIS|H1|HIE|HIE|x", "nonsense ", "MSH|^~\\&|HIS|H1|HIE|HIE||"])
def test_message_without_a_readable_time_counts_by_its_arrival(
    client: Browser, exchange: wiring.Exchange, head: str
) -> None:
    register(exchange, "HIS", "H1")
    receive(exchange, "HIS|H1", hours(5), received=NOW, head=head)
    assert "2026-03-10 12:00 2026-03-10 12:00" in row(client, "HIS|H1")


def test_sender_zone_settles_its_times(client: Browser, exchange: wiring.Exchange) -> None:
    register(exchange, "HIS", "H1", zone="UTC")
    receive(exchange, "HIS|H1", hours(20), received=NOW)
    assert "2026-03-10 00:00" in row(client, "HIS|H1").replace("2026-03-09 16:00", "")


def test_gateway_without_senders_says_so(client: Browser) -> None:
    text = client.get("/gateway").text
    assert "还没有机构发来消息" in text
    assert "没有失败的消息" in text
