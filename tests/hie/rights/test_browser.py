"""A citizen and the desk at a browser, on a laboratory's server (HIE_AUTH=off)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from hie import wiring
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.hie.portal.chromium import ARGUMENTS, CHROMIUM, FAINT, MARKS, Visit, served
from tests.hie.rights.city import city as persons

pytestmark = MARKS


@pytest.fixture(scope="module")
def address(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one server process for all tests of the module."""
    folder: Path = tmp_path_factory.mktemp("var")
    with fresh_database(server_url, template) as url:
        with (
            wiring.build(Settings(audit_folder=folder), database_url=url) as exchange,
            exchange.database.transaction() as transaction,
        ):
            (result,) = exchange.repository.transact(transaction, [persons()])
            assert result.error is None, result.error
        with served(url) as base:
            yield base


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(params=[(1280, True), (390, False)], ids=["desk", "phone without scripts"])
def visit(chromium: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A visit; nothing may go wrong in it."""
    width, scripts = request.param
    opened = Visit(chromium, address, width=width, scripts=scripts)
    yield opened
    assert opened.faults == []


def test_a_correction_from_the_citizen_to_the_record(visit: Visit) -> None:
    page = visit.page
    page.goto("/my/rights?patient=x")
    assert page.get_by_role("heading", level=1).inner_text() == "我的个人信息权利"
    page.get_by_role("link", name="更正或补充信息").click()
    before = page.get_by_role("row", name="birthDate").inner_text().split()[-1]
    after = "1980-05-02" if before != "1980-05-02" else "1980-05-03"
    page.get_by_label("项目").fill("birthDate")
    page.get_by_label("应为").fill(after)
    page.get_by_role("button", name="申请更正").click()
    assert page.get_by_role("status").inner_text() == "请求已提交。"
    page.goto("/rights")
    page.locator("tbody tr").first.get_by_role("link").click()
    page.get_by_role("button", name="受理").click()
    assert page.get_by_role("status").inner_text() == "已办理。"
    page.get_by_role("button", name="更正并办结").click()
    assert "Patient/x/_history/" in page.inner_text("main")
    page.goto("/my/rights/correction?patient=x")
    assert page.get_by_role("row", name="birthDate").inner_text().split()[-1] == after


def test_a_request_is_withdrawn(visit: Visit) -> None:
    page = visit.page
    page.goto("/my/rights?patient=x")
    page.locator("summary", has_text="复制我的健康档案").click()
    page.get_by_role("button", name="申请副本").click()
    page.get_by_role("button", name="撤回请求").click()
    assert page.get_by_role("status").inner_text() == "请求已撤回。"


@pytest.mark.parametrize(
    "path", ["/my/rights?patient=x", "/my/rights/correction?patient=x", "/rights", "/processing", "/privacy"]
)
def test_pages_are_readable_and_fit(visit: Visit, path: str) -> None:
    page = visit.page
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(FAINT) == []
    page.get_by_role("button", name="English").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
