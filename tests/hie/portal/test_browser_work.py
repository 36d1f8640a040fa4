"""An operator at a browser: jobs and subscriptions, cancelled and redriven by keyboard, on a phone too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from hie import wiring
from hie.core.settings import Settings
from tests.fhir_server.subscriptions.receiver import Receiver
from tests.hie.portal.chromium import FAINT, MARKS, Visit, served
from tests.hie.portal.work import Workplace, fill

pytestmark = MARKS


@pytest.fixture
def address(database_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of a server process on a database with work in every state, for what changes it."""
    with _serving(database_url, tmp_path) as base:
        yield base


@pytest.fixture(scope="module")
def read_address(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of such a process, for what only reads."""
    with _serving(shared_database_url, tmp_path_factory.mktemp("work")) as base:
        yield base


@contextmanager
def _serving(database_url: str, folder: Path) -> Iterator[str]:
    with Receiver() as receiver:
        settings = Settings(
            var_dir=folder,
            subscription_endpoints=(f"http://127.0.0.1:{receiver.port}/",),
            subscription_attempts=2,
            subscription_retry_seconds=600,
        )
        with wiring.build(settings, database_url=database_url) as exchange:
            fill(Workplace.of(exchange), receiver)
    with served(database_url) as base:
        yield base


def paths(page: Page) -> list[str]:
    """Return the pages of the operator's work, with one of a job of each state and of a subscription."""
    found = [
        "/jobs",
        "/jobs?state=failed",
        "/jobs?state=cancelled",
        "/subscriptions",
        "/subscriptions?status=off",
    ]
    for listed in ("/jobs", "/subscriptions"):
        page.goto(listed)
        links = page.locator(f'tbody th a[href^="{listed}/"]')
        found += [each.get_attribute("href") or "" for each in links.all()]
    return found


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_operator_cancels_a_job_and_redrives_a_subscription(
    address: str, browser: Browser, *, scripts: bool
) -> None:
    visit = Visit(browser, address, width=1280, scripts=scripts)
    page = visit.page
    page.goto("/gateway")
    page.get_by_role("button", name="平台运维").click()
    page.get_by_role("link", name="后台任务").click()
    assert page.get_by_role("alert").inner_text().startswith("有任务无人处理")
    page.get_by_role("link", name="等待", exact=True).click()
    page.get_by_role("rowheader").get_by_role("link").click()
    expect(page.get_by_role("button", name="确认取消")).to_be_hidden()
    page.get_by_text("取消任务").click()
    page.get_by_role("button", name="确认取消").click()
    assert page.get_by_role("status").inner_text() == "任务已取消，其文件将被删除。"
    page.get_by_role("link", name="订阅推送").click()
    page.get_by_role("link", name="停止推送", exact=True).click()
    page.get_by_role("link", name="laboratory").click()
    assert page.get_by_role("row").count() == 4
    page.get_by_label("跳过最前面的事件数").fill("1")
    page.get_by_role("button", name="重新投递").click()
    assert page.get_by_role("status").inner_text().startswith("已重新启用")
    assert page.get_by_role("row").count() == 3
    assert visit.faults == []


def test_keyboard_alone_cancels_a_job(address: str, browser: Browser) -> None:
    page = Visit(browser, address, width=1280, scripts=True).page
    page.goto("/jobs?state=queued")
    page.get_by_role("rowheader").get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*-*")
    page.locator(".confirm summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="确认取消")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs?said=cancelled")


@pytest.mark.parametrize("width", [320, 1280])
def test_pages_of_work_fit_and_can_be_read(read_address: str, browser: Browser, width: int) -> None:
    visit = Visit(browser, read_address, width=width, scripts=True)
    page = visit.page
    visit.context.add_cookies([{"name": "role", "value": "operator", "url": read_address}])
    found = paths(page)
    assert len(found) == 5 + 5 + 2
    for language in ("zh-CN", "en"):
        visit.context.add_cookies([{"name": "language", "value": language, "url": read_address}])
        for number, path in enumerate(found):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate(FAINT) == [], path
            if "HIE_TEST_SCREENSHOTS" in os.environ:
                file = f"{number:02}-{width}-{language}.png"
                page.screenshot(path=Path(os.environ["HIE_TEST_SCREENSHOTS"]) / file, full_page=True)
    assert visit.faults == []
