"""A clinician at a browser: Chromium against a server process, by mouse, by keyboard, on a phone."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from hie import wiring
from hie.core.settings import Settings
from tests.hie.portal.records import ZHANG_ID, store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).resolve().parents[3]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and "HIE_CI" not in os.environ, reason="no chromium on this machine"),
]


@pytest.fixture
def address(database_url: str) -> Iterator[str]:
    """The address of a server process on a free port, with the test records stored."""
    with wiring.build(Settings(), database_url=database_url) as exchange:
        store(exchange)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws"]
    command += ["--host", "127.0.0.1", "--port", str(port), "tests.hie.portal.serve:create"]
    environment = {**os.environ, "HIE_DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while True:
                try:
                    httpx.get(f"{base}/static/mark.svg", trust_env=False).raise_for_status()
                    break
                except httpx.HTTPError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            yield base
        finally:
            process.terminate()
            process.wait(20)


class Visit:
    """A visit with what went wrong in it: requests to other hosts, console messages, failed answers."""

    def __init__(self, browser: Browser, address: str, *, width: int, scripts: bool) -> None:
        """Open a page of `width` at `address`."""
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=scripts, base_url=address
        )
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("request", lambda request: self._check(request.url, address))
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", self._note_failure)

    def _note_failure(self, request: Request) -> None:
        """Note a request that got no answer; one that the browser itself gave up, to go on, is none."""
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed {request.url} {request.failure}")

    def _check(self, url: str, address: str) -> None:
        if not url.startswith(f"{address}/"):
            self.faults.append(f"foreign {url}")


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


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


# Contrast of text on its nearest background, WCAG 2.2 section 1.4.3 (https://www.w3.org/TR/WCAG22/#contrast-minimum)
FAINT = """
() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest("svg")) continue;
    const colours = [parse(getComputedStyle(node).color), ground(node)];
    const pair = colours.map(luminance).sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    const large = parseFloat(getComputedStyle(node).fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) faint.push(`${walker.currentNode.data.trim()} ${ratio.toFixed(2)}`);
  }
  return faint;
}
"""


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
