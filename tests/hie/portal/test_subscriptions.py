"""The operator sees which endpoints do not answer, what waits for them, and sends it again; no content."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hie import wiring
from hie.core.access import EVERYTHING, Attempt, Readable, Requester
from hie.core.errors import ForbiddenError
from hie.core.settings import Settings
from tests.fhir_server.subscriptions.receiver import Receiver
from tests.fhir_server.subscriptions.server import patient, subscription, topic_subscription
from tests.hie.portal.test_pages import chinese_in
from tests.hie.portal.work import PATIENT, Workplace


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint that listens."""
    with Receiver() as listening:
        yield listening


@pytest.fixture
def settings(receiver: Receiver, tmp_path: Path) -> Settings:
    """Settings that let the receiver be called, and give up after two attempts."""
    return Settings(
        var_dir=tmp_path,
        subscription_endpoints=(f"http://127.0.0.1:{receiver.port}/",),
        subscription_attempts=2,
        subscription_retry_seconds=600,
        subscription_timeout_seconds=5,
    )


@pytest.fixture
def place(database_url: str, settings: Settings) -> Iterator[Workplace]:
    """The operator's workplace on a fresh database."""
    with wiring.build(settings, database_url=database_url) as exchange:
        yield Workplace.of(exchange)


def give_up(place: Workplace, receiver: Receiver, patients: int = 3) -> None:
    """Have the subscription `s` in error with `patients` events that wait."""
    place.put(topic_subscription("s", "patient-change", f"{receiver.url}?token=secret"))
    place.worker.work()
    receiver.answer = lambda _received: 503
    for number in range(patients):
        place.put(patient(f"p{number}", name=[{"text": PATIENT}]))
    place.worker.work()
    try_again(place)


def try_again(place: Workplace) -> None:
    """Send what waits, as if all waits were over."""
    with place.exchange.database.transaction() as transaction:
        transaction.connection.execute("UPDATE subscription SET due_at = now() WHERE due_at > now()")
    place.worker.work()


def ids(text: str) -> list[str]:
    """Return the subscriptions that a page lists, in order."""
    return re.findall(r'<a href="/subscriptions/([^"]+)"', text)


def numbers(text: str) -> list[int]:
    """Return the numbers of the events that a page lists."""
    return [int(each) for each in re.findall(r'<th scope="row" class="digits">(\d+)</th>', text)]


def status_of(place: Workplace) -> str:
    answer = place.fhir.get("Subscription/s")
    return str(answer.json()["status"])


def test_page_without_subscriptions_says_so(place: Workplace) -> None:
    assert "还没有系统订阅推送" in place.browser.get("/subscriptions").text


def test_subscription_that_is_served_stands_without_alarm(place: Workplace, receiver: Receiver) -> None:
    place.put(topic_subscription("s", "patient-change", receiver.url))
    place.worker.work()
    text = place.browser.get("/subscriptions").text
    assert ids(text) == ["s"]
    assert 'role="alert"' not in text
    text = place.browser.get("/subscriptions/s").text
    assert "没有等待投递的事件" in text
    assert "/redrive" not in text


def test_attempt_that_failed_is_shown_with_the_time_of_the_next(place: Workplace, receiver: Receiver) -> None:
    place.put(topic_subscription("s", "patient-change", receiver.url))
    place.worker.work()
    receiver.answer = lambda _received: 503
    place.put(patient("p"))
    place.worker.work()
    assert "失败 1 次" in place.browser.get("/subscriptions").text
    text = place.browser.get("/subscriptions/s").text
    assert "已失败 1 次，将于" in text
    assert f"http://127.0.0.1:{receiver.port} answers 503" in text
    assert "/redrive" not in text


def test_dead_letters_are_listed_without_content_and_secrets(place: Workplace, receiver: Receiver) -> None:
    give_up(place, receiver)
    listed, page = place.browser.get("/subscriptions").text, place.browser.get("/subscriptions/s").text
    assert "1 个订阅已停止推送" in listed
    assert "answers 503" in listed
    assert numbers(page) == [1, 2, 3]
    assert page.count('<td data-label="资源类型">Patient</td>') == 3
    assert page.count('<td data-label="变化">新增</td>') == 3
    for text in (listed, page):
        assert f"http://127.0.0.1:{receiver.port}<" in text
        assert "secret" not in text
        assert "/hook" not in text
        assert PATIENT not in text
        assert "Patient/p" not in text


def test_criteria_are_shown_by_their_type_alone(place: Workplace, receiver: Receiver) -> None:
    place.put(subscription("s", "Observation?patient=Patient/p1&code=1975-2", receiver.url))
    place.worker.work()
    for path in ("/subscriptions", "/subscriptions/s"):
        text = place.browser.get(path).text
        assert "Observation" in text
        assert "1975-2" not in text


def test_redrive_sends_what_waits_in_order(place: Workplace, receiver: Receiver) -> None:
    give_up(place, receiver)
    del receiver.requests[:]
    receiver.answer = lambda _received: 200
    answer = place.browser.post("/subscriptions/s/redrive", data={"skip": "0"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/subscriptions/s?said=redriven")
    place.worker.work()
    assert [each.numbers for each in receiver.requests] == [[1], [2], [3]]
    text = place.browser.get("/subscriptions/s?said=redriven").text
    assert "已重新启用" in text
    assert "没有等待投递的事件" in text
    assert status_of(place) == "active"


def test_redrive_leaves_out_the_first_events(place: Workplace, receiver: Receiver) -> None:
    give_up(place, receiver)
    del receiver.requests[:]
    receiver.answer = lambda _received: 200
    place.browser.post("/subscriptions/s/redrive", data={"skip": "2"})
    place.worker.work()
    assert [each.numbers for each in receiver.requests] == [[3]]


def test_redrive_of_what_is_not_in_error_says_so(place: Workplace, receiver: Receiver) -> None:
    place.put(topic_subscription("s", "patient-change", receiver.url))
    place.worker.work()
    answer = place.browser.post("/subscriptions/s/redrive")
    assert answer.headers["location"] == "/subscriptions/s?said=conflict"
    assert "没有重新投递" in place.browser.get("/subscriptions/s?said=conflict").text


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}],
    ids=["cross-site", "origin"],
)
def test_redrive_from_another_site_changes_nothing(
    place: Workplace, receiver: Receiver, headers: dict[str, str]
) -> None:
    give_up(place, receiver)
    assert place.browser.post("/subscriptions/s/redrive", headers=headers).status_code == 400
    assert status_of(place) == "error"
    assert place.browser.post("/subscriptions/s/redrive", data={"skip": "-1"}).status_code == 400
    assert place.browser.post("/subscriptions/s/redrive", data={"skip": str(10**30)}).status_code == 400
    assert status_of(place) == "error"


def test_events_come_in_pages(place: Workplace, receiver: Receiver) -> None:
    give_up(place, receiver, patients=60)
    text = place.browser.get("/subscriptions/s").text
    assert numbers(text) == list(range(1, 51))
    further = re.search(r'href="([^"]+)" rel="next"', text)
    assert further is not None
    assert numbers(place.browser.get(further[1]).text) == list(range(51, 61))
    assert place.browser.get("/subscriptions/s?after=-1").status_code == 400


def test_filter_keeps_a_status_and_pages_hold_each_once(place: Workplace, receiver: Receiver) -> None:
    give_up(place, receiver, patients=1)
    receiver.answer = lambda _received: 200
    names = [f"t{number:03}" for number in range(60)]
    for name in names:
        place.put(topic_subscription(name, "patient-change", receiver.url))
    place.worker.match()
    assert ids(place.browser.get("/subscriptions?status=error").text) == ["s"]
    assert "没有符合条件的订阅" in place.browser.get("/subscriptions?status=off").text
    first = place.browser.get("/subscriptions").text
    further = re.search(r'href="([^"]+)" rel="next"', first)
    assert further is not None
    assert ids(first) + ids(place.browser.get(further[1]).text) == ["s", *names]
    assert place.browser.get("/subscriptions?status=odd").status_code == 400


def test_unknown_and_deleted_subscriptions_are_not_found(place: Workplace, receiver: Receiver) -> None:
    place.put(topic_subscription("s", "patient-change", receiver.url))
    place.worker.work()
    place.fhir.delete("Subscription/s")
    for name in ("s", "nothing"):
        for answer in (
            place.browser.get(f"/subscriptions/{name}"),
            place.browser.post(f"/subscriptions/{name}/redrive"),
        ):
            assert answer.status_code == 404
            assert "没有此订阅" in answer.text


class NoOperator:
    """Permits everything but to look after subscriptions; or hides them, where `hides`."""

    def __init__(self, *, hides: bool) -> None:
        """Say which."""
        self._hides = hides

    def readable(self, requester: Requester, resource_type: str) -> Readable:
        """Return EVERYTHING, of Subscriptions nothing but to the system where they are hidden."""
        if self._hides and resource_type == "Subscription" and requester.kind != "system":
            return Readable(((("status", "off"),),))
        return EVERYTHING

    def decide(self, requester: Requester, attempt: Attempt) -> None:  # noqa: ARG002 - the port's words
        """Refuse "$dead-letters" and "$redrive" unless hiding."""
        if not self._hides and attempt.interaction in ("$dead-letters", "$redrive"):
            raise ForbiddenError


def test_policy_decides_who_looks_after_subscriptions(
    database_url: str, settings: Settings, place: Workplace, receiver: Receiver
) -> None:
    give_up(place, receiver)
    with wiring.build(settings, database_url=database_url, access=NoOperator(hides=False)) as exchange:
        browser = Workplace.of(exchange).browser
        assert browser.get("/subscriptions").status_code == 403
        assert browser.get("/subscriptions/s").status_code == 403
        assert browser.post("/subscriptions/s/redrive").status_code == 403
    with wiring.build(settings, database_url=database_url, access=NoOperator(hides=True)) as exchange:
        browser = Workplace.of(exchange).browser
        assert ids(browser.get("/subscriptions").text) == []
        assert browser.get("/subscriptions/s").status_code == 404
        assert browser.post("/subscriptions/s/redrive").status_code == 404
    assert status_of(place) == "error"


def test_pages_of_subscriptions_are_whole_in_english(place: Workplace, receiver: Receiver) -> None:
    paths = ["/subscriptions"]
    place.browser.post("/language", data={"language": "en"})
    assert chinese_in(place.browser.get("/subscriptions").text) == []
    give_up(place, receiver)
    paths += ["/subscriptions/s", "/subscriptions/s?said=conflict", "/subscriptions/s?said=redriven"]
    paths += ["/subscriptions/nothing", "/subscriptions?status=off", "/subscriptions?status=error"]
    for path in paths:
        assert chinese_in(place.browser.get(path).text) == [], path
