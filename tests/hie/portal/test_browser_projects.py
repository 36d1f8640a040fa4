"""An analyst at a browser: a project proposed, approved by somebody else, exported for; its report."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, expect

from hie import wiring
from hie.core.access import Requester, Role
from hie.core.settings import Settings
from tests.hie.policy.city import put
from tests.hie.portal.chromium import FAINT, MARKS, Visit, served
from tests.hie.privacy.test_exports import people

pytestmark = MARKS

OFFICER = Requester("person", "s-1", roles=frozenset({Role.SECURITY_OFFICER}))


@pytest.fixture
def exchange(database_url: str, tmp_path: Path) -> Iterator[wiring.Exchange]:
    """An exchange with patients, whose worker is the test."""
    with wiring.build(Settings(audit_folder=tmp_path), database_url=database_url) as built:
        with built.database.transaction() as transaction:
            (stored,) = built.repository.transact(transaction, [put(*people())])
            assert stored.error is None
        yield built


@pytest.mark.parametrize(
    ("width", "scripts"), [(1280, False), (320, True)], ids=["desk without scripts", "phone"]
)
def test_from_proposal_to_report(
    exchange: wiring.Exchange, database_url: str, browser: Browser, width: int, *, scripts: bool
) -> None:
    with served(database_url) as address:
        visit = Visit(browser, address, width=width, scripts=scripts)
        page = visit.page
        visit.context.add_cookies([{"name": "role", "value": "analyst", "url": address}])
        page.goto("/projects")
        expect(page.get_by_role("link", name="去标识化项目")).to_be_visible()
        page.get_by_label("项目名称").fill("贫血研究")
        page.get_by_label("申请理由").fill("估计贫血患病率")
        page.get_by_role("button", name="提交申请").click()
        assert page.get_by_role("status").inner_text() == "申请已提交，等待安全管理员批准。"
        expect(page.get_by_role("button", name="批准项目")).to_have_count(0)
        project = page.url.partition("/projects/")[2].partition("?")[0]
        with exchange.database.transaction(requester=OFFICER) as transaction:
            exchange.privacy.projects.approve(transaction, UUID(project))
        page.reload()
        page.get_by_role("button", name="开始去标识化导出").click()
        assert page.get_by_role("status").inner_text() == "导出已开始。"
        runner = exchange.job_runner()
        while runner.work_one():
            pass
        page.get_by_role("link", name="刷新状态").click()
        expect(page.get_by_role("heading", name="去标识化报告")).to_be_visible()
        expect(page.get_by_role("link", name="Patient.1.ndjson")).to_be_visible()
        here = page.url
        for language in ("zh-CN", "en"):
            visit.context.add_cookies([{"name": "language", "value": language, "url": address}])
            for path in (here, f"{address}/projects"):
                page.goto(path)
                if scripts:
                    assert page.evaluate(FAINT) == [], path
                    assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert visit.faults == []
