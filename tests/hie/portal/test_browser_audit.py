"""A citizen who complains about an access, and the officer who answers, at a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from hie import wiring
from hie.core.access import Requester, Role
from hie.core.audit.record import Record
from hie.core.settings import Settings
from tests.hie.portal.chromium import FAINT, MARKS, Visit, served

pytestmark = MARKS

DOCTOR = Requester("person", "李医生", roles=frozenset({Role.CLINICIAN}))


@pytest.fixture
def address(database_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of a server process, with one access to a record chained, for what changes something."""
    with _serving(database_url, tmp_path) as base:
        yield base


@pytest.fixture(scope="module")
def read_address(shared_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of such a process, for what only reads."""
    with _serving(shared_database_url, tmp_path_factory.mktemp("audit")) as base:
        yield base


@contextmanager
def _serving(database_url: str, folder: Path) -> Iterator[str]:
    # a folder of its own: another test's server may have left records in that of the run
    with wiring.build(Settings(audit_folder=folder), database_url=database_url) as exchange:
        with exchange.database.transaction() as transaction:
            transaction.record(
                Record(
                    "rest",
                    "read",
                    "R",
                    DOCTOR,
                    datetime(2026, 3, 4, 4, tzinfo=UTC),
                    target="Observation/o1",
                    patients=("p1",),
                )
            )
        exchange.auditing.collector.run()
    with served(database_url) as base:
        yield base


PLACES = pytest.mark.parametrize(
    ("width", "scripts"), [(1280, True), (390, False)], ids=["desk", "phone without scripts"]
)


@PLACES
def test_citizen_complains_in_two_steps_and_is_answered(
    browser: Browser, address: str, width: int, *, scripts: bool
) -> None:
    visit = Visit(browser, address, width=width, scripts=scripts)
    page = visit.page
    page.goto("/my/accesses?patient=p1")
    assert page.get_by_role("heading", level=1).inner_text() == "谁看过我的档案"
    assert page.locator("tbody tr").count() == 1
    page.locator("summary", has_text="我有疑问").click()
    page.get_by_label("请写明您的疑问").fill("这位医生没有给我看过病")
    page.get_by_role("button", name="提交投诉").click()
    assert "天内答复" in page.get_by_role("status").inner_text()
    page.goto("/complaints")
    assert "这位医生没有给我看过病" in page.inner_text("main")
    page.get_by_label("答复内容").fill("已核实，系误操作")
    page.get_by_role("button", name="发送答复").click()
    assert page.get_by_role("status").inner_text() == "答复已发送。"
    page.goto("/my/accesses?patient=p1")
    assert "已核实，系误操作" in page.inner_text("main")
    assert visit.faults == []


@PLACES
@pytest.mark.parametrize("path", ["/audit", "/my/accesses?patient=p1", "/complaints"])
def test_pages_are_readable_and_fit(
    browser: Browser, read_address: str, path: str, width: int, *, scripts: bool
) -> None:
    visit = Visit(browser, read_address, width=width, scripts=scripts)
    page = visit.page
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(FAINT) == []
    page.get_by_role("button", name="English").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert visit.faults == []
