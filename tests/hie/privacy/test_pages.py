"""The pages of projects: who sees which, from proposal to report, in both languages."""

from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from urllib.parse import urlencode

import pytest
from httpx import Response

from hie import app, wiring
from hie.core.access import SYSTEM, Requester, Role
from hie.core.clock import SystemClock
from hie.core.fhir.json import dumps
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.fhir_server.bad_input.api import Client
from tests.hie.policy.city import ANALYST, CLINICIAN, person, put
from tests.hie.policy.conftest import Known
from tests.hie.privacy.secrets import SECRETS
from tests.hie.privacy.test_exports import people

OFFICER = person(Role.SECURITY_OFFICER, id="s-1")
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
ASKED = {
    "title": "贫血研究",
    "reason": "How many are anaemic",
    "purpose": "HRESCH",
    "k": "5",
    "dates": "year",
    "regions": "1",
    "roles": "analyst",
}


class Pages:
    """The portal for whoever looks, and a worker."""

    def __init__(self, exchange: wiring.Exchange, opened: ExitStack) -> None:
        self.exchange = exchange
        self._opened = opened
        self._clients: dict[Requester, Client] = {}

    def client(self, requester: Requester) -> Client:
        """Return the browser of somebody."""
        if requester not in self._clients:
            built = app.build(self.exchange)
            built.add_middleware(Known, requester=requester)
            self._clients[requester] = self._opened.enter_context(Client(built))
        return self._clients[requester]

    def send(self, who: Requester, path: str, **fields: str) -> Response:
        """Send a form."""
        return self.client(who).request("POST", path, content=urlencode(fields).encode(), headers=FORM)

    def follow(self, who: Requester, path: str, **fields: str) -> Response:
        """Send a form and return the page that it leads to."""
        sent = self.send(who, path, **fields)
        assert sent.status_code == HTTPStatus.SEE_OTHER, sent.text
        return self.client(who).get(sent.headers["location"])


@pytest.fixture(scope="module")
def pages(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with ExitStack() as opened, fresh_database(server_url, template) as url:
        settings = Settings(var_dir=tmp_path_factory.mktemp("var"))
        policy = wiring.policy(settings, SystemClock())
        exchange = opened.enter_context(wiring.build(settings, database_url=url, access=policy))
        made = Pages(exchange, opened)
        assert made.client(SYSTEM).post("/fhir", dumps(put(*people()))).status_code == HTTPStatus.OK
        yield made


def test_from_proposal_to_report(pages: Pages) -> None:
    proposed = pages.send(ANALYST, "/projects", **ASKED)
    where = proposed.headers["location"].partition("?")[0]
    page = pages.client(ANALYST).get(where)
    assert "贫血研究" in page.text
    assert "待批准" in page.text
    assert "批准项目" not in page.text
    assert "开始去标识化导出" not in page.text
    approved = pages.follow(OFFICER, f"{where}/approve")
    assert "项目已批准。" in approved.text
    begun = pages.send(ANALYST, f"{where}/export")
    waiting = pages.client(ANALYST).get(begun.headers["location"]).text
    assert "导出已开始。" in waiting
    assert "刷新状态" in waiting
    assert "去标识化报告" not in waiting
    runner = pages.exchange.job_runner()
    while runner.work_one():
        pass
    done = pages.client(ANALYST).get(begun.headers["location"])
    assert "去标识化报告" in done.text
    assert "未导出患者数" in done.text
    name = next(part for part in done.text.split('"') if part.endswith("/Patient.1.ndjson"))
    got = pages.client(ANALYST).get(name)
    assert got.status_code == HTTPStatus.OK
    assert got.headers["content-type"].startswith("application/fhir+ndjson")
    assert not [secret for secret in SECRETS if secret in got.text + done.text]
    # of another's export nothing is shown
    assert pages.client(OFFICER).get(name).status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
    assert "去标识化报告" not in pages.client(OFFICER).get(begun.headers["location"]).text
    ended = pages.follow(OFFICER, f"{where}/end")
    assert "假名密钥已销毁" in ended.text
    assert pages.send(ANALYST, f"{where}/export").status_code == HTTPStatus.FORBIDDEN
    assert pages.client(ANALYST).get(name).status_code == HTTPStatus.FORBIDDEN


def test_a_refused_export_says_why(pages: Pages) -> None:
    where = pages.send(ANALYST, "/projects", **{**ASKED, "k": "999"}).headers["location"].partition("?")[0]
    pages.send(OFFICER, f"{where}/approve")
    begun = pages.send(ANALYST, f"{where}/export").headers["location"]
    runner = pages.exchange.job_runner()
    while runner.work_one():
        pass
    page = pages.client(ANALYST).get(begun)
    assert "导出被拒绝" in page.text
    assert "fewer than k = 999" in page.text
    assert "Patient.1.ndjson" not in page.text


def test_a_proposal_that_says_too_little_is_said_to(pages: Pages) -> None:
    sent = pages.follow(ANALYST, "/projects", **{**ASKED, "title": " "})
    assert "申请未填写完整" in sent.text


def test_english_is_complete(pages: Pages) -> None:
    client = pages.client(OFFICER)
    shown = client.request("GET", "/projects", headers={"cookie": "language=en"})
    assert "Projects of de-identified data" in shown.text
    assert "De-identified data" in shown.text


@pytest.mark.parametrize("path", ["/projects", "/projects/6f0f0f8e-0000-4000-8000-000000000000"])
def test_others_have_no_such_page(pages: Pages, path: str) -> None:
    assert pages.client(CLINICIAN).get(path).status_code == HTTPStatus.FORBIDDEN
    assert pages.send(CLINICIAN, "/projects", **ASKED).status_code == HTTPStatus.FORBIDDEN


def test_a_form_of_another_site_changes_nothing(pages: Pages) -> None:
    headers = {**FORM, "sec-fetch-site": "cross-site"}
    body = urlencode(ASKED).encode()
    sent = pages.client(ANALYST).request("POST", "/projects", content=body, headers=headers)
    assert sent.status_code == HTTPStatus.BAD_REQUEST
