"""A clinician at a browser: Chromium against a server process, by mouse, by keyboard, on a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from hie import wiring
from hie.core.settings import Settings
from tests.hie.portal.chromium import FAINT, MARKS, Visit, served
from tests.hie.portal.records import ZHANG_ID, store

pytestmark = MARKS


@pytest.fixture(scope="module")
def address(shared_database_url: str) -> Iterator[str]:
    """The address of a server process, with the test records stored."""
    with wiring.build(Settings(), database_url=shared_database_url) as exchange:
        store(exchange)
    with served(shared_database_url) as base:
        yield base


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def visit(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A visit at a desk; nothing may go wrong in it."""
    opened = Visit(browser, address, width=1280, scripts=request.param)
    yield opened
    assert opened.faults == []


@pytest.mark.parametrize("visit", [False], indirect=True, ids=["without scripts"])
def test_person_is_found_and_read_without_scripts(visit: Visit) -> None:
    page = visit.page
    for query in ("张三丰", "C-1001", ZHANG_ID.lower()):
        page.goto("/")
        page.get_by_label("姓名、卡号或身份证号").fill(query)
        page.get_by_role("button", name="查找").click()
        assert "找到 1 人" in page.inner_text("h1")
    page.get_by_role("link", name="张三").first.click()
    assert page.get_by_role("heading", level=3).all_inner_texts()[0] == "2026-03-10 星期二"
    assert page.get_by_role("row", name="钾").locator(".flag").inner_text() == "⇈ 危急偏高"
    page.get_by_role("navigation", name="筛选").get_by_role("link", name="用药").click()
    assert page.get_by_role("article").count() == 1
    assert page.get_by_role("article").get_by_role("heading").inner_text() == "阿司匹林肠溶片"


@pytest.mark.parametrize("visit", [True], indirect=True, ids=["with scripts"])
def test_language_and_role_are_switched_in_place(visit: Visit) -> None:
    page = visit.page
    page.goto("/patients?q=C-2002")
    page.get_by_role("button", name="English").click()
    assert "q=C-2002" in page.url
    assert page.get_by_role("alert").inner_text().startswith("This number leads to several persons")
    page.get_by_role("button", name="Operator").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Gateway"
    page.get_by_role("button", name="Analyst").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Early warning"
    page.get_by_role("button", name="中文").click()
    assert page.get_by_role("heading", level=1).inner_text() == "传染病监测预警"


@pytest.mark.parametrize("visit", [True], indirect=True, ids=["with scripts"])
def test_keyboard_alone_reaches_the_timeline(visit: Visit) -> None:
    page = visit.page
    page.goto("/")
    expect(page.get_by_label("姓名、卡号或身份证号")).to_be_focused()
    page.keyboard.type("张三丰")
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients?q=*")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    for _step in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')?.startsWith('/patients/') ?? false"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/patients/*")
    assert page.get_by_role("heading", level=1).inner_text().startswith("张三")


def path_of_a_person(page: Page) -> str:
    """Return the path of a person with records."""
    page.goto("/patients?q=张三丰")
    path = page.get_by_role("link", name="张三").first.get_attribute("href")
    assert path is not None
    return path


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_page_scrolls_sideways(browser: Browser, address: str, width: int) -> None:
    visit = Visit(browser, address, width=width, scripts=True)
    page = visit.page
    person = path_of_a_person(page)
    for language in ("zh-CN", "en"):
        visit.context.add_cookies([{"name": "language", "value": language, "url": address}])
        for path in (
            "/",
            "/patients?q=C-2002",
            "/patients?q=张三丰",
            person,
            "/gateway",
            "/warning",
            "/nothing",
        ):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert [fault for fault in visit.faults if "404" not in fault] == []


@pytest.mark.parametrize("visit", [True], indirect=True, ids=["with scripts"])
def test_text_has_the_contrast_of_level_aa(visit: Visit) -> None:
    page = visit.page
    person = path_of_a_person(page)
    for path in ("/", "/patients?q=C-2002", person, f"{person}?kind=result", "/gateway", "/warning"):
        page.goto(path)
        assert page.evaluate(FAINT) == [], path


@pytest.mark.parametrize("visit", [True], indirect=True, ids=["with scripts"])
def test_paper_shows_the_record_without_the_controls(visit: Visit) -> None:
    page = visit.page
    page.goto("/patients?q=张三丰")
    page.get_by_role("link", name="张三").first.click()
    page.emulate_media(media="print")
    assert page.locator("header.bar").is_hidden()
    assert page.locator("nav.filters").is_hidden()
    assert page.get_by_text("电解质").is_visible()
    assert page.get_by_text("青霉素").is_visible()
