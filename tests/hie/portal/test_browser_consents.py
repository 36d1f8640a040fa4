"""A citizen who gives and withdraws a consent, a doctor in an emergency, and the officer who reviews it."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from hie import wiring
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.hie.policy.city import city
from tests.hie.portal.chromium import FAINT, MARKS, Visit, served

pytestmark = MARKS
_APPLICATION = "tests.hie.portal.consent_serve:create"

As = Callable[[str], Page]


@pytest.fixture(scope="module")
def address(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one server process for the module, on a database that holds the city."""
    folder = tmp_path_factory.mktemp("audit")
    with fresh_database(server_url, template) as url:
        with (
            wiring.build(Settings(audit_folder=folder), database_url=url) as exchange,
            exchange.database.transaction() as transaction,
        ):
            (result,) = exchange.repository.transact(transaction, [city()])
            assert result.error is None
        with served(url, _APPLICATION) as base:
            yield base


@pytest.fixture(params=[(1280, True), (390, False)], ids=["desk", "phone without scripts"])
def acting(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[As]:
    """A page for each reader; nothing may go wrong in it."""
    width, scripts = request.param
    visits: list[Visit] = []

    def as_reader(name: str) -> Page:
        visit = Visit(browser, address, width=width, scripts=scripts)
        visit.context.add_cookies([{"name": "as", "value": name, "url": address}])
        visits.append(visit)
        return visit.page

    yield as_reader
    assert [fault for visit in visits for fault in visit.faults] == []


def faults(page: Page) -> list[str]:
    """Return what is faint or does not fit, in both languages; the page is in Chinese again in the end."""
    found: list[str] = []
    for language in ("English", "中文"):
        found += page.evaluate(FAINT)
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found.append(f"too wide before {language}")
        page.get_by_role("button", name=language).click()
    return found


def test_a_citizen_says_who_may_not_see_what_until_when_and_withdraws_it(acting: As) -> None:
    page = acting("citizen")
    page.goto("/my/consents")
    assert page.get_by_role("heading", level=1).inner_text() == "谁可以看我的档案"
    page.get_by_label("机构", exact=True).select_option(label="Hospital x")
    page.get_by_label("内容", exact=True).select_option(label="用药")
    page.get_by_label("有效至").fill("2099-12-31")
    page.get_by_role("button", name="保存设置").click()
    assert page.get_by_role("status").inner_text() == "设置已保存，立即生效。"
    said = page.locator("section[aria-labelledby=active]").inner_text()
    assert "Hospital x" in said
    assert "处方" in said
    assert "有效至 2099-12-31" in said
    assert faults(page) == []
    page.goto("/my/consents")
    page.get_by_role("button", name="撤回").click()
    assert page.get_by_role("status").inner_text() == "已撤回，立即生效。"
    assert page.get_by_role("button", name="撤回").count() == 0


def test_a_doctor_opens_a_record_in_an_emergency_and_the_officer_reviews_it(acting: As) -> None:
    doctor = acting("doctor")
    doctor.goto("/emergency")
    assert "患者会立即收到通知" in doctor.inner_text("main")
    doctor.get_by_label("患者的身份证号").fill("x")
    doctor.get_by_label("具体理由").fill("昏迷，家属不在场")
    doctor.get_by_label("我已了解上述后果").check()
    doctor.get_by_role("button", name="打开档案").click()
    assert "档案已打开" in doctor.get_by_role("status").inner_text()
    doctor.goto("/emergency")
    assert faults(doctor) == []
    doctor.goto("/emergency")
    doctor.get_by_role("button", name="提前结束").first.click()
    assert doctor.get_by_role("status").inner_text() == "紧急调阅已结束。"

    officer = acting("officer")
    officer.goto("/emergencies")
    assert "昏迷，家属不在场" in officer.inner_text("main")
    assert faults(officer) == []
    officer.goto("/emergencies")
    officer.get_by_label("审查意见").first.fill("急诊记录相符")
    officer.get_by_role("button", name="正当", exact=True).first.click()
    assert officer.get_by_role("status").inner_text() == "审查结果已保存。"

    citizen = acting("citizen")
    citizen.goto("/my/notices")
    assert "紧急" in citizen.inner_text("main")
    assert faults(citizen) == []
